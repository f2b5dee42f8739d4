import platform
import subprocess
import sys
from contextlib import nullcontext

import pytest
from tinyrun import tiny

from festkit.scenes import make_synthetic_dataset
from festkit.training import loop
from festkit.training.trainer import train

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

HEAD = """
import resource
from contextlib import nullcontext, suppress
import torch
from festkit.training.memory import kept_memory

def take(mebibytes):
    return torch.ones(mebibytes * 2**20, dtype=torch.uint8)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
"""


def printed(script):
    """The numbers that a process of its own prints: what others have freed does not count."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script], capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


@glibc
@pytest.mark.system
def test_freed_blocks_are_kept_until_the_end():
    """Within, they are taken again without the system; afterwards it has them back."""
    given_back, kept, *sizes = printed("""
for context in nullcontext, kept_memory:
    with context():
        for _ in range(4): take(64)
        before = faults()
        for _ in range(2): take(64)
        print(faults() - before)
for end in "as it should", "by an error":
    print(resident())
    with suppress(KeyError), kept_memory():
        take(256)
        print(resident())
        if end == "by an error":
            raise KeyError
    print(resident())
""")
    assert kept < given_back / 5
    for before, within, after in (sizes[:3], sizes[3:]):
        assert within > before + 200
        assert after < before + 50


def test_a_training_on_the_cpu_keeps_its_memory(tmp_path, monkeypatch):
    entered = []
    monkeypatch.setattr(loop, "kept_memory", lambda: entered.append(1) or nullcontext())
    scenes = make_synthetic_dataset(tmp_path / "scenes", train=4, test=1, size=32)
    train(tiny(scenes, tmp_path / "run", epochs=1))
    assert entered == [1]
