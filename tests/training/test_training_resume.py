import json
import math
import random
import signal
import time

import numpy as np
import pytest
import torch
from handmade import make_set
from safetensors.torch import load_file
from tinyrun import kept_files, no_space, start, stop_at, tiny

from festkit import training
from festkit.training import trainer
from festkit.training.run import LOCK, Run
from festkit.training.trainer import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=9)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """Undisturbed: three epochs of two batches; a last one of a single image is left out."""
    return train(tiny(folder, tmp_path_factory.mktemp("runs") / "first"))


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


WAYS = {
    "as it is": {},
    "accumulate": {"accumulate": 2, "batch_size": 2},
    "holdout": {"protocol": "holdout", "holdout": 0.25, "validate_every": 1, "epochs": 4},
    "paper": {"protocol": "paper", "validate_every": 1},
    "clip and constant": {"clip_norm": 0.5, "schedule": "constant", "warmup_steps": 2},
    "bf16": {"precision": "bf16"},
    "last weights": {"ema_decay": 0.0, "workers": 2},
    "ACM": {"backbone": "ACM", "epochs": 2},
    "ACM bf16": {"backbone": "ACM", "epochs": 2, "precision": "bf16"},
}


class TestExactly:
    @pytest.mark.parametrize("way", ["as it is", *(slow(way) for way in WAYS if way != "as it is")])
    def test_a_run_stopped_twice_ends_as_an_undisturbed_one(
        self, folder, tmp_path, monkeypatch, way
    ):
        options = WAYS[way]
        whole = train(tiny(folder, tmp_path / "whole", **options))
        for batch in (3, 2):
            with monkeypatch.context() as patch:
                stop_at(patch, batch=batch)
                with pytest.raises(KeyboardInterrupt):
                    train(tiny(folder, tmp_path / "run", **options))
        again = train(tiny(folder, tmp_path / "run", **options))
        assert kept_files(again) == kept_files(whole)
        assert again.test_maps().keys() == whole.test_maps().keys()
        assert not again.checkpoint.exists()

    @pytest.mark.parametrize("batch", [slow(1), 3, *map(slow, (2, 4, 5, 6))])
    def test_stopped_anywhere(self, run, folder, tmp_path, monkeypatch, batch):
        with monkeypatch.context() as patch:
            stop_at(patch, batch=batch)
            with pytest.raises(KeyboardInterrupt):
                train(tiny(folder, tmp_path / "run"))
        stopped = Run(tmp_path / "run")
        assert not stopped.finished
        assert stopped.checkpoint.is_file() == (batch > 1)
        again = train(tiny(folder, tmp_path / "run"))
        assert kept_files(again) == kept_files(run)

    @pytest.mark.slow
    def test_it_goes_on_with_as_many_threads_as_it_began_with(self, folder, tmp_path, monkeypatch):
        """Sums of two threads round otherwise than those of one."""
        whole = train(tiny(folder, tmp_path / "whole", backbone="ACM", threads=2))
        monkeypatch.setattr(training.state, "available_cpus", lambda: (0, 1))
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "resolve_threads", lambda threads: 2)
            stop_at(patch, batch=3)
            with pytest.raises(KeyboardInterrupt):
                train(tiny(folder, tmp_path / "run", backbone="ACM"))
        before = torch.get_num_threads()
        again = train(tiny(folder, tmp_path / "run", backbone="ACM"))
        assert kept_files(again) == kept_files(whole)
        assert again.record["threads"] == 2
        assert torch.get_num_threads() == before

    def test_stated_threads_are_taken_whatever_it_began_with(self, folder, tmp_path):
        train(tiny(folder, tmp_path / "run", threads=2), max_minutes=0)
        assert train(tiny(folder, tmp_path / "run", threads=1)).record["threads"] == 1

    def test_no_more_threads_than_cpus_are_left(self, folder, tmp_path, monkeypatch):
        train(tiny(folder, tmp_path / "run", threads=2), max_minutes=0)
        monkeypatch.setattr(training.state, "available_cpus", lambda: (0,))
        assert train(tiny(folder, tmp_path / "run")).record["threads"] == 1

    def test_checkpoints_are_taken_within_an_epoch(self, folder, tmp_path, monkeypatch):
        stop_at(monkeypatch, batch=2)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(folder, tmp_path / "run"))
        states = torch.load(Run(tmp_path / "run").checkpoint, weights_only=True)
        assert (states["epoch"], states["step"], states["history"]) == (0, 1, [])

    def test_checkpoints_are_taken_only_after_updates(self, folder, tmp_path, monkeypatch):
        stop_at(monkeypatch, batch=4)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(folder, tmp_path / "run", accumulate=2, batch_size=2))
        states = torch.load(Run(tmp_path / "run").checkpoint, weights_only=True)
        assert (states["epoch"], states["step"]) == (0, 2)

    def test_the_best_weights_survive(self, folder, tmp_path, monkeypatch):
        options = WAYS["holdout"] | {"epochs": 6, "ema_decay": 0.0}
        with monkeypatch.context() as patch:
            stop_at(patch, batch=2 * 5)  # two batches are an epoch of the six that are trained on
            with pytest.raises(KeyboardInterrupt):
                train(tiny(folder, tmp_path / "run", **options))
        best = torch.load(Run(tmp_path / "run").checkpoint, weights_only=True)["best"]
        assert best["epoch"] == 4
        with monkeypatch.context() as patch:  # nothing later is better
            patch.setattr(training.loop.Loop, "_validate", lambda self: {})
            done = train(tiny(folder, tmp_path / "run", **options))
        assert done.record["kept_epoch"] == 4
        for name, tensor in load_file(done.weights).items():
            assert torch.equal(tensor, best["weights"][name])


KILLED = """
import os, random, shutil, signal, sys, time, warnings
from pathlib import Path
import torch
from tinyrun import tiny
from festkit.training import loop, train, trainer
from festkit.training.run import Run

folder, out = sys.argv[1], Path(sys.argv[2])

def long_run(name):
    options = {"epochs": 30, "validate_every": 2, "protocol": "holdout", "accumulate": 2}
    train(tiny(folder, out / name, batch_size=2, **options))

def forked(act, *words):
    child = os.fork()
    if child == 0:
        act(*words)
        os._exit(0)
    return child

def end_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def kill_at_random(seed, lasting):
    rng, name = random.Random(seed), f"random {seed}"
    for number in range(10):
        child = forked(long_run, name)
        time.sleep(rng.uniform(0, 0.3 * lasting))
        os.kill(child, signal.SIGKILL)
        print("ended", end_of(child))
        if (out / name).is_dir():
            shutil.copytree(out / name, out / f"{name} killed {number}")
    long_run(name)

def kill_while_writing(place, after):
    owners = {"torch.save": torch, "save_weights": trainer, "write_json": trainer}
    owner, name = owners.get(place, Run), place.rpartition(".")[2]
    wanted = 3 if place in ("torch.save", "Run.write_history") else 1
    kept, calls = getattr(owner, name), []
    def kill(*arguments):
        calls.append(1)
        if len(calls) == wanted and not after:
            if place == "torch.save":
                arguments[1].write(b"half")
                arguments[1].flush()
            os.kill(os.getpid(), signal.SIGKILL)
        kept(*arguments)
        if len(calls) == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, kill)
    train(tiny(folder, out / f"{place} {after}"))

warnings.simplefilter("ignore")
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = -1.0, 1e9
train(tiny(folder, out / "warm", epochs=1))
began = time.monotonic()
long_run("whole")
lasting = time.monotonic() - began
for seed in (0, 1):
    kill_at_random(seed, lasting)
for place in sys.argv[3:]:
    for after in (False, True):
        assert end_of(forked(kill_while_writing, place, after)) == -signal.SIGKILL, place
"""

PLACES = ("torch.save", "Run.write_history", "save_weights", "Run.write_maps", "write_json")


@pytest.mark.system
class TestKilled:
    """By SIGKILL: at ten random moments, and at every file that is written."""

    @pytest.fixture(scope="class")
    @classmethod
    def killed(cls, folder, tmp_path_factory):
        out = tmp_path_factory.mktemp("killed")
        child = start(KILLED, folder, out, *PLACES)
        said, errors = child.communicate()
        assert child.returncode == 0, errors
        return out, [int(line.split()[1]) for line in said.splitlines() if "ended" in line]

    def test_most_were_killed_under_way(self, killed):
        _, ends = killed
        assert set(ends) <= {-signal.SIGKILL, 0}
        assert len(ends) == 20
        assert ends.count(-signal.SIGKILL) >= 8  # the later ones may be done before

    @pytest.mark.parametrize("seed", range(2))
    def test_ten_times(self, killed, seed):
        out, _ = killed
        again, whole = Run(out / f"random {seed}"), Run(out / "whole")
        assert kept_files(again) == kept_files(whole)
        assert files(again) == files(whole)
        halves = list(out.glob(f"random {seed} killed *"))
        assert len(halves) >= 5
        for half in halves:
            assert_whole(Run(half))

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("after", [False, True])
    def test_while_writing(self, run, folder, killed, place, after):
        out, _ = killed
        half = Run(out / f"{place} {after}")
        assert half.finished == (place == "write_json" and after)
        assert half.checkpoint.is_file()
        assert_whole(half)
        again = train(tiny(folder, half.folder))
        assert kept_files(again) == kept_files(run)
        assert files(again) == files(run)


def files(run):
    return sorted(path.name for path in run.folder.iterdir())


def assert_whole(run):
    """Every file that stands under its own name can be read to its end."""
    for path in run.folder.iterdir():
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".npz":
            with np.load(path) as maps:
                assert all(maps[name].ndim == 2 for name in maps.files)
        elif path.suffix == ".csv":
            assert run.history()
        elif path.suffix == ".safetensors":
            load_file(path)
        else:
            assert path.name.endswith(".part") or path.name == LOCK


class TestOnDisk:
    def test_a_run_stopped_while_testing_continues_there(self, run, folder, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "metrics_rows", no_space)
            with pytest.raises(OSError, match="No space left"):
                train(tiny(folder, tmp_path / "run"))
        assert not Run(tmp_path / "run").finished
        with monkeypatch.context() as patch:
            patch.setattr(training.loop.Loop, "_step", None)
            again = train(tiny(folder, tmp_path / "run"))
        assert kept_files(again) == kept_files(run)

    def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(
        self, run, folder, tmp_path, monkeypatch
    ):
        saves, kept = [], torch.save

        def save_or_fail(states, path):
            saves.append(1)
            kept(states, path)
            if len(saves) == 4:
                no_space()

        with monkeypatch.context() as patch:
            patch.setattr(training.loop, "CHECKPOINT_SECONDS", -1.0)
            patch.setattr(training.loop, "CHECKPOINT_SHARE", 1e9)
            patch.setattr(torch, "save", save_or_fail)
            with pytest.raises(OSError, match="No space left"):
                train(tiny(folder, tmp_path / "run"))
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
            "checkpoint.pt", "config.json", "history.csv",
        ]  # fmt: skip
        assert torch.load(Run(tmp_path / "run").checkpoint, weights_only=True)["epoch"] == 1
        assert kept_files(train(tiny(folder, tmp_path / "run"))) == kept_files(run)

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:no pixel was predicted")
    def test_checkpoints_are_not_written_all_the_time(self, folder, tmp_path, monkeypatch):
        saves, kept = [], torch.save
        monkeypatch.setattr(
            torch, "save", lambda *given: [saves.append(1), time.sleep(0.2), kept(*given)]
        )
        monkeypatch.setattr(training.loop, "CHECKPOINT_SECONDS", 0.0)
        began = time.monotonic()
        train(tiny(folder, tmp_path / "run", epochs=10))
        assert len(saves) <= 2 + (time.monotonic() - began) / (0.2 / training.loop.CHECKPOINT_SHARE)

    def test_a_full_disk_is_told_by_the_system(self, folder, tmp_path):
        resource = pytest.importorskip("resource")
        state = training.state.TrainState.start(tiny(folder, tmp_path), torch.device("cpu"), 3)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                state.save(Run(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("damage", ["text", "empty", "cut", "other"])
    def test_a_damaged_checkpoint_is_named(self, folder, tmp_path, damage):
        cfg = tiny(folder, tmp_path / "run")
        stopped = train(cfg, max_minutes=0)
        whole = stopped.checkpoint.read_bytes()
        texts = {"text": b"not a checkpoint", "empty": b"", "cut": whole[: len(whole) // 2]}
        if damage == "other":
            torch.save([1, 2], stopped.checkpoint)
        else:
            stopped.checkpoint.write_bytes(texts[damage])
        with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged; delete it"):
            train(cfg)
        assert train(cfg, resume="never").finished

    def test_whatever_is_damaged_there_is_one_message(self, folder, tmp_path):
        cfg = tiny(folder, tmp_path / "run")
        stopped = train(cfg, max_minutes=0)
        whole, rng = stopped.checkpoint.read_bytes(), random.Random(1)
        state = training.state.TrainState.start(cfg, torch.device("cpu"), 9)
        for cut in range(0, len(whole), 397):
            stopped.checkpoint.write_bytes(whole[:cut] + rng.randbytes(cut % 3 * 100))
            with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged; delete it"):
                state.resume(stopped)


class TestAfresh:
    def test_never_uses_no_checkpoint(self, run, folder, tmp_path, monkeypatch):
        cfg = tiny(folder, tmp_path / "run", protocol="paper", validate_every=1)
        whole = train(tiny(folder, tmp_path / "whole", protocol="paper", validate_every=1))
        with monkeypatch.context() as patch:
            stop_at(patch, batch=6)
            with pytest.raises(KeyboardInterrupt):
                train(cfg)
        stopped = Run(tmp_path / "run")
        states = torch.load(stopped.checkpoint, weights_only=True)
        for tensor in states["model"].values():  # whoever continues this run sees it
            tensor.fill_(0)
        states["best"] = {"epoch": 99, "value": 9.0, "weights": states["model"]}
        torch.save(states, stopped.checkpoint)
        assert kept_files(train(cfg, resume="never")) == kept_files(whole)

    def test_what_came_before_is_gone_at_once(self, run, folder, tmp_path, monkeypatch):
        cfg = tiny(folder, tmp_path / "run")
        with monkeypatch.context() as patch:
            stop_at(patch, batch=6)
            with pytest.raises(KeyboardInterrupt):
                train(cfg)
        with monkeypatch.context() as patch:
            patch.setattr(training.loop.Loop, "_step", no_space)
            with pytest.raises(OSError, match="No space left"):
                train(cfg, resume="never")
        assert [path.name for path in cfg.folder.iterdir()] == ["config.json"]

    def test_a_finished_run_stays_as_it_is(self, run, folder, monkeypatch):
        monkeypatch.setattr(trainer, "Loop", None)
        before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
        for resume in ("auto", "never"):
            assert train(tiny(folder, run.folder), resume=resume) == run
        assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before

    def test_an_unknown_way_to_resume(self, folder, tmp_path):
        with pytest.raises(ValueError, match="resume is 'always', expected 'auto' or 'never'"):
            train(tiny(folder, tmp_path / "run"), resume="always")
        for minutes in (-1, math.nan):
            with pytest.raises(ValueError, match=f"max_minutes is {minutes}, expected a number"):
                train(tiny(folder, tmp_path / "run"), max_minutes=minutes)


class TestAnotherRun:
    def test_a_folder_of_another_run(self, run, folder):
        with pytest.raises(FileExistsError, match=r"already holds another run \(epochs 3 -> 4\)"):
            train(tiny(folder, run.folder, epochs=4))

    @pytest.mark.parametrize(
        "options",
        [{"accumulate": 2}, {"schedule": "constant"}, {"clip_norm": 1.0}, {"validate_every": 1}],
    )
    def test_every_option_that_decides_counts(self, run, folder, options):
        with pytest.raises(FileExistsError, match="already holds another run"):
            train(tiny(folder, run.folder, **options))

    @pytest.mark.parametrize("options", [{"workers": 2}, {"cache_on": "host"}, {"device": "auto"}])
    def test_places_do_not(self, run, folder, options):
        assert train(tiny(folder, run.folder, **options)) == run

    def test_images_changed_under_the_same_name(self, tmp_path):
        folder = make_set(tmp_path / "set")
        train(tiny(folder, tmp_path / "run", epochs=1))
        (folder / "images" / "t0.png").write_bytes((folder / "images" / "t1.png").read_bytes())
        with pytest.raises(FileExistsError, match=r"another run \(train_split '.*' -> '.*'\)"):
            train(tiny(folder, tmp_path / "run", epochs=1))
