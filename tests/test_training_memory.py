import platform
import resource
from contextlib import nullcontext

import pytest
import torch
from tinyrun import tiny

from festkit.scenes import make_synthetic_dataset
from festkit.training import loop, train
from festkit.training.memory import kept_memory

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
MEBIBYTE = 2**20


def pages_cleared(blocks=4):
    """Pages that the system hands out while blocks of 64 MiB are taken and freed in turn."""
    torch.ones(64 * MEBIBYTE, dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(blocks):
        torch.ones(64 * MEBIBYTE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    """MiB of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / MEBIBYTE


@glibc
class TestKeptMemory:
    def test_freed_blocks_are_taken_again_without_the_system(self):
        pages = 64 * MEBIBYTE // resource.getpagesize()
        assert pages_cleared() > 3 * pages
        with kept_memory():
            assert pages_cleared() < pages / 10

    def test_the_memory_is_given_back_at_the_end(self):
        before = resident()
        with kept_memory():
            torch.ones(256 * MEBIBYTE, dtype=torch.uint8)
            assert resident() > before + 200
        assert resident() < before + 50
        assert pages_cleared() > 3 * 64 * MEBIBYTE // resource.getpagesize()

    def test_the_memory_is_given_back_after_an_error(self):
        with pytest.raises(KeyError), kept_memory():
            raise KeyError
        assert pages_cleared() > 3 * 64 * MEBIBYTE // resource.getpagesize()

    def test_a_training_on_the_cpu_keeps_its_memory(self, tmp_path, monkeypatch):
        entered = []
        monkeypatch.setattr(loop, "kept_memory", lambda: entered.append(1) or nullcontext())
        scenes = make_synthetic_dataset(tmp_path / "scenes", train=4, test=1, size=32)
        train(tiny(scenes, tmp_path / "run", epochs=1))
        assert entered == [1]
