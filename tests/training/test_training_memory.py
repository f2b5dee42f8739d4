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
from contextlib import suppress
import torch
from festkit.training.memory import kept_memory

def take(mebibytes):
    return torch.ones(mebibytes * 2**20, dtype=torch.uint8)

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
@pytest.mark.parametrize("end", ["as it should", "by an error"])
def test_freed_blocks_are_kept_until_the_end(end):
    """What is freed within stays with the process; afterwards the system has it back."""
    before, within, after = printed(f"""
print(resident())
with suppress(KeyError), kept_memory():
    take(256)
    print(resident())
    if {end!r} == "by an error":
        raise KeyError
print(resident())
""")
    assert within > before + 200
    assert after < before + 50


@glibc
@pytest.mark.system
def test_without_it_freed_blocks_go_back():
    """The default that the test above rests on."""
    before, after = printed("print(resident()); take(256); print(resident())")
    assert after < before + 50


def test_a_training_on_the_cpu_keeps_its_memory(tmp_path, monkeypatch):
    entered = []
    monkeypatch.setattr(loop, "kept_memory", lambda: entered.append(1) or nullcontext())
    scenes = make_synthetic_dataset(tmp_path / "scenes", train=4, test=1, size=32)
    train(tiny(scenes, tmp_path / "run", epochs=1))
    assert entered == [1]
