import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from festkit._support import cpus as _cpus
from festkit._support.devices import cpu_threads, resolve_device, resolve_precision, resolve_threads

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def at_hand(monkeypatch):
    """A machine with the named accelerators."""

    def pretend(*names):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * ("cuda" in names))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)

    return pretend


@pytest.mark.parametrize(
    ("there", "best"), [((), CPU), (("mps",), MPS), (("cuda",), CUDA), (("cuda", "mps"), CUDA)]
)
def test_auto_takes_the_fastest_at_hand(at_hand, there, best):
    at_hand(*there)
    assert resolve_device("auto") == best


def test_a_numbered_device(at_hand):
    at_hand("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("place", [torch.device("cuda:1"), torch.device("cpu"), CUDA])
def test_a_device_of_torch(at_hand, place):
    at_hand("cuda")
    assert resolve_device(place) == place


def test_a_device_of_torch_that_is_not_at_hand(at_hand):
    at_hand()
    with pytest.raises(ValueError, match="device 'cuda:1' is not available"):
        resolve_device(torch.device("cuda", 1))


@pytest.mark.parametrize("name", ["cuda:first", "cpu:x", "cuda:-1", None, 0])
def test_what_is_no_device(at_hand, name):
    at_hand("cuda")
    with pytest.raises(ValueError, match=f"unknown device '{name}'; choose from auto, cpu, cuda"):
        resolve_device(name)


def test_a_number_that_is_not_at_hand(at_hand):
    at_hand("cuda")
    with pytest.raises(ValueError, match=r"'cuda:2' is not available.* has 2 CUDA devices"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_at_hand(at_hand, name):
    at_hand()
    with pytest.raises(ValueError, match=rf"device '{name}' is not available.*use 'cpu' or 'auto'"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "xpu"])
def test_an_unknown_device(name):
    with pytest.raises(ValueError, match=rf"unknown device '{name}'; choose from auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("device", [CPU, CUDA, MPS])
def test_a_stated_precision_is_kept(precision, device):
    assert resolve_precision(precision, device) == precision


def test_fp16_trains_on_cuda_only():
    assert resolve_precision("fp16", CUDA) == "fp16"
    for device in (CPU, MPS):
        with pytest.raises(ValueError, match=rf"fp16 trains on CUDA only, not on {device.type}; "):
            resolve_precision("fp16", device)


@pytest.mark.parametrize(("hardware", "best"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_follows_the_hardware(monkeypatch, hardware, best):
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, check, lambda: hardware, raising=False)
    assert resolve_precision("auto", CPU) == best
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: hardware)
    assert resolve_precision("auto", CUDA) == best


def test_auto_precision_on_mps_is_single():
    assert resolve_precision("auto", MPS) == "fp32"


def test_a_torch_without_the_checks_trains_in_single_precision(monkeypatch):
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, check, raising=False)
    assert resolve_precision("auto", CPU) == "fp32"


@pytest.fixture
def four_cpus(monkeypatch):
    """A process that may use CPUs 1 to 4 of six with four threads, and so loaded [%]."""

    def loaded(*percents):
        monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
        monkeypatch.setattr(_cpus, "available_cpus", lambda: (1, 2, 3, 4))
        monkeypatch.setattr(_cpus, "QUOTAS", Path("/nowhere"))
        load = [100.0, *map(float, percents), 100.0]
        monkeypatch.setattr(_cpus.psutil, "cpu_percent", lambda seconds, percpu: load)

    return loaded


@pytest.mark.parametrize(
    ("load", "threads"),
    [
        ((0, 0, 0, 0), 4), ((5, 5, 5, 5), 4), ((100, 0, 0, 0), 3), ((50, 50, 0, 0), 3),
        ((60, 0, 0, 0), 3), ((100, 100, 100, 0), 1), ((100, 100, 100, 100), 1),
    ],
)  # fmt: skip
def test_one_thread_for_each_idle_cpu_of_the_process(four_cpus, load, threads):
    four_cpus(*load)
    assert resolve_threads() == threads


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({"cpu.max": "200000 100000\n"}, 2), ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 4), ({}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)  # fmt: skip
def test_no_more_threads_than_the_quota_of_a_container(
    four_cpus, monkeypatch, tmp_path, files, threads
):
    four_cpus(0, 0, 0, 0)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(_cpus, "QUOTAS", tmp_path)
    assert resolve_threads() == threads


@pytest.mark.system
@pytest.mark.parametrize("asked", ["ieee", "tf32"])
def test_whole_float32_where_the_user_chose_a_precision_by_torchs_newer_name(asked):
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("this torch knows allow_tf32 alone")
    code = (
        "import torch; from festkit._support.devices import whole_float32 as whole\n"
        f"torch.backends.fp32_precision = {asked!r}\n"
        "cudnn = torch.backends.cudnn\n"
        "all = cudnn, cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul\n"
        "told = lambda: [each.fp32_precision for each in all]\n"
        "before = told()\n"
        "with whole(): assert told() == ['ieee'] * 4, told()\n"
        "assert told() == before, told()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # torch keeps the choice


def test_processes_of_one_training_share_the_idle_cpus(four_cpus, monkeypatch):
    four_cpus(0, 0, 0, 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resolve_threads() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert resolve_threads() == 1


def test_no_more_threads_than_torch_would_take(four_cpus, monkeypatch):
    four_cpus(0, 0, 0, 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert resolve_threads() == 2


def test_a_stated_number_of_threads_is_kept(four_cpus):
    four_cpus(100, 100, 100, 100)
    assert resolve_threads(7) == 7


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_a_number_of_threads_that_is_none(threads):
    with pytest.raises(
        ValueError, match=r"threads is .*, expected a whole number from 1 to 1024, or N"
    ):
        resolve_threads(threads)


def test_a_busy_cpu_counts_as_busy():
    """Measured for real: this thread takes one CPU whole."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            pass

    busy = threading.Thread(target=work)
    busy.start()
    try:
        assert _cpus.idle_cpus() < len(_cpus.available_cpus())
    finally:
        stop.set()
        busy.join()


def test_threads_are_as_before_after_an_error():
    before, within = torch.get_num_threads(), []

    def fail():
        with cpu_threads(before + 1):
            within.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (within, torch.get_num_threads()) == ([before + 1], before)
