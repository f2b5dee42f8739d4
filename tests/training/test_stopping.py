import dataclasses
import math
import os
import signal
import threading
from contextlib import suppress

import pytest
import torch
from handmade import make_set
from tinyrun import kept_files, start, tiny

from festkit.training.interrupt import Stop
from festkit.training.run import Run
from festkit.training.trainer import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=8)


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    config = tiny(folder, tmp_path_factory.mktemp("whole") / "run", epochs=4)
    return train(config), config


class TestStop:
    def test_nothing_is_wanted_before_a_signal(self):
        with Stop(None) as stop:
            assert not stop.wanted
        stop.pass_on()

    @pytest.mark.parametrize(("minutes", "wanted"), [(0, True), (-1, True), (1, False)])
    def test_the_time(self, minutes, wanted):
        assert Stop(minutes).wanted == wanted

    def test_an_interrupt_is_noted_and_passed_on(self):
        with Stop(None) as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.wanted
        with pytest.raises(KeyboardInterrupt):
            stop.pass_on()

    def test_a_termination_ends_with_its_status(self):
        with Stop(None) as stop:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            stop.pass_on()
        assert ended.value.code == 143

    @pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
    def test_a_second_signal_ends_at_once(self, first, second):
        with Stop(None):
            signal.raise_signal(first)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(second)

    def test_the_handlers_of_before_come_back(self):
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with suppress(ZeroDivisionError), Stop(None):
            assert signal.getsignal(signal.SIGINT) != before[0]
            raise ZeroDivisionError
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before

    def test_in_another_thread_only_the_time_counts(self):
        found = []

        def look():
            with Stop(0) as stop:
                found.append(stop.wanted)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert found == [True]


class TestTime:
    def test_no_time_is_one_step(self, folder, tmp_path):
        run = train(tiny(folder, tmp_path / "run"), max_minutes=0)
        assert not run.finished
        states = torch.load(run.checkpoint, weights_only=True)
        assert (states["epoch"], states["step"]) == (0, 1)
        assert sorted(path.name for path in run.folder.iterdir()) == [
            "checkpoint.pt", "config.json",
        ]  # fmt: skip

    def test_with_accumulation_it_is_one_update(self, folder, tmp_path):
        cfg = tiny(folder, tmp_path / "run", batch_size=2, accumulate=3)
        run = train(cfg, max_minutes=0)
        assert torch.load(run.checkpoint, weights_only=True)["step"] == 3

    def test_piece_by_piece_it_is_the_whole(self, whole, folder, tmp_path):
        cfg, calls = tiny(folder, tmp_path / "run", epochs=4), 0
        while not train(cfg, max_minutes=0).finished:
            calls += 1
        assert calls == 7  # after eight steps it is done
        assert kept_files(Run(tmp_path / "run")) == kept_files(whole[0])

    def test_time_enough(self, whole, folder, tmp_path):
        run = train(tiny(folder, tmp_path / "run", epochs=4), max_minutes=5)
        assert kept_files(run) == kept_files(whole[0])


def signal_in_step(monkeypatch, number, *, step, times=1):
    """The process gets a signal in the middle of a step, counted from 1."""
    forward, seen = torch.nn.Dropout.forward, []

    def forward_with_signal(self, image):
        if self.training and torch.is_grad_enabled():
            seen.append(1)
            if len(seen) == step:
                for _ in range(times):
                    os.kill(os.getpid(), number)
        return forward(self, image)

    monkeypatch.setattr(torch.nn.Dropout, "forward", forward_with_signal)


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("step", [2, pytest.param(5, marks=pytest.mark.slow)])
    def test_it_ends_after_the_step(self, whole, tmp_path, monkeypatch, number, step):
        cfg = dataclasses.replace(whole[1], out=str(tmp_path / "run"))
        with monkeypatch.context() as patch:
            signal_in_step(patch, number, step=step)
            with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
                train(cfg)
        states = torch.load(Run(cfg.folder).checkpoint, weights_only=True)
        assert 2 * states["epoch"] + states["step"] == step
        assert kept_files(train(cfg)) == kept_files(whole[0])

    def test_in_the_very_last_step(self, whole, folder, tmp_path, monkeypatch):
        cfg = tiny(folder, tmp_path / "run", epochs=4)
        with monkeypatch.context() as patch:
            signal_in_step(patch, signal.SIGINT, step=8)
            with pytest.raises(KeyboardInterrupt):
                train(cfg)
        assert torch.load(Run(cfg.folder).checkpoint, weights_only=True)["epoch"] == 4
        assert kept_files(train(cfg)) == kept_files(whole[0])

    def test_a_second_one_ends_within_the_step(self, folder, tmp_path, monkeypatch):
        signal_in_step(monkeypatch, signal.SIGINT, step=1, times=2)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(folder, tmp_path / "run"))
        assert not Run(tmp_path / "run").checkpoint.exists()


COMMAND = """
import os, signal, sys
import torch
from festkit.cli.main import main
forward, seen = torch.nn.BatchNorm2d.forward, []
def forward_with_signal(self, image):
    seen.append(1)
    if len(seen) == 1:
        os.kill(os.getpid(), int(sys.argv[3]))
    return forward(self, image)
torch.nn.BatchNorm2d.forward = forward_with_signal
sys.exit(main(["train", "--dataset", sys.argv[1], "--out", sys.argv[2], "--size", "32",
    "--epochs", "1", "--device", "cpu"]))
"""


@pytest.mark.system
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_status_of_the_command(folder, tmp_path, number, status):
    child = start(COMMAND, folder, tmp_path / "run", int(number))
    _, errors = child.communicate()
    assert child.returncode == status, errors
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        assert errors.splitlines()[-1] == ("festkit train: interrupted; the same command continues")
    run = Run(tmp_path / "run")
    assert run.checkpoint.is_file()
    assert not math.isnan(torch.load(run.checkpoint, weights_only=True)["sums"][0].item())
