"""Two trainings in one run folder: the second is refused and leaves the files of the first."""

import signal

import pytest
import torch
from handmade import make_set
from smallbooks import entries, wait_for
from tinyrun import kept_files, start, tiny

from festkit._support.locks import file_lock
from festkit.cli.main import main
from festkit.training import trainer
from festkit.training.run import LOCK, Run
from festkit.training.trainer import train

LONG = """
import sys
from tinyrun import tiny
from festkit.training import loop, train
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = -1.0, 0.5
train(tiny(sys.argv[1], sys.argv[2], epochs=100_000))
"""
REFUSED = "run is being trained by process {} on .*; wait until it ends, stop it to continue"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=8)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return train(tiny(folder, tmp_path_factory.mktemp("runs") / "first"))


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_second_one_is_refused_until_the_first_has_ended(folder, tmp_path, number):
    config = tiny(folder, tmp_path / "run", epochs=100_000)
    run = Run(config.folder)
    child = start(LONG, folder, config.folder)
    try:
        wait_for(lambda: run.checkpoint.is_file() or child.poll() is not None)
        half = run.folder / f".checkpoint.pt.{child.pid}-x.part"  # as the first may have one
        half.touch()
        for _ in range(20):
            for resume in ("auto", "never"):
                with pytest.raises(BlockingIOError, match=REFUSED.format(child.pid)):
                    train(config, resume=resume, max_minutes=0)
        assert half.exists()
        history = len(run.history())
        wait_for(lambda: len(run.history()) > history or child.poll() is not None)
        assert child.poll() is None
        child.send_signal(number)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == (-number if number != signal.SIGTERM else 143), errors
    assert (LOCK in entries(run.folder)) == (number == signal.SIGKILL)
    before = torch.load(run.checkpoint, weights_only=True)
    assert not train(config, max_minutes=0).finished
    after = torch.load(run.checkpoint, weights_only=True)
    assert (after["epoch"], after["step"]) > (before["epoch"], before["step"])
    assert entries(run.folder) == ["checkpoint.pt", "config.json", "history.csv"]


def test_the_command_says_so_in_a_line(folder, tmp_path, capsys):
    words = ["--dataset", str(folder), "--size", "32", "--device", "cpu", "--out", str(tmp_path)]
    with file_lock(tmp_path / LOCK):
        assert main(["train", *words]) == 1
        assert entries(tmp_path) == [LOCK]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"festkit train: {tmp_path} is being trained by process ")
    assert line.endswith("or choose another run folder (out) (--debug shows where)")


def test_a_finished_run_is_given_to_whoever_asks(run, folder):
    with file_lock(run.folder / LOCK):
        assert train(tiny(folder, run.folder)) == run


def test_who_is_given_a_finished_run_leaves_what_is_written_beside_it(run, folder):
    half = run.folder / ".minutes.json.17.part"
    half.touch()
    train(tiny(folder, run.folder))
    half.unlink()


def test_asked_for_just_before_its_end(run, folder, tmp_path, monkeypatch):
    """Between the record and the end of the first one, another is given the run."""
    config, kept = tiny(folder, tmp_path / "run"), trainer.write_json

    def write_and_ask(path, record):
        kept(path, record)
        assert Run(config.folder).checkpoint.exists()
        assert train(config).finished
        assert not Run(config.folder).checkpoint.exists()

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "write_json", write_and_ask)
        again = train(config)
    assert kept_files(again) == kept_files(run)


def test_while_it_trains_the_folder_is_held_and_afterwards_not(folder, tmp_path, monkeypatch):
    config, found = tiny(folder, tmp_path / "run", epochs=1), []
    finish = trainer._finish

    def look_and_finish(*given):
        found.extend(entries(config.folder))
        with pytest.raises(BlockingIOError):
            train(config)
        finish(*given)

    monkeypatch.setattr(trainer, "_finish", look_and_finish)
    run = train(config)
    assert LOCK in found
    assert LOCK not in entries(run.folder)


def test_refused_it_leaves_other_files_alone(folder, tmp_path):
    (tmp_path / "thesis.tex").touch()
    (tmp_path / ".thesis.tex.part").touch()
    with pytest.raises(FileExistsError, match="holds other files"):
        train(tiny(folder, tmp_path))
    assert entries(tmp_path) == [".thesis.tex.part", "thesis.tex"]


@pytest.mark.parametrize("there", [False, True])
def test_refused_it_leaves_no_new_folder(folder, tmp_path, there):
    config = tiny(folder, tmp_path / "run", initial_weights="none.safetensors")
    if there:
        config.folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no such weights file: none\.safetensors"):
        train(config)
    assert entries(tmp_path) == ["run"] * there
