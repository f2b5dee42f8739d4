import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from handmade import make_set
from safetensors.torch import load_file
from tinyrun import environment, free_port, plain_net, start, tiny

from festkit._support.locks import file_lock
from festkit.training.run import LOCK, Run
from festkit.training.trainer import train

pytestmark = pytest.mark.system

OPTIONS = {
    "loss": "BCE", "batch_size": 6, "precision": "fp32", "validate_every": 1, "clip_norm": 1.0,
    "learning_rate": 0.01, "warmup_steps": 0, "protocol": "holdout", "holdout": 0.2,
}  # fmt: skip

SCRIPT = """
import json, os, sys
from pathlib import Path
from tinyrun import plain_net, tiny
from festkit.training import loop, train
folder, out, options, times, note = sys.argv[1:]
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = 0.1, 1.0
if os.environ.get("RANK") == "1":
    Path.replace = None  # which every whole file ends with: one process writes
config = tiny(folder, out, backbone=plain_net(), **json.loads(options))
ends = [train(config, max_minutes=minutes).finished for minutes in json.loads(times)]
Path(note + os.environ.get("RANK", "0")).write_text(f"{os.environ.get('WORLD_SIZE')} {ends}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fourteen images, of which eleven are trained on: batches of six and of five."""
    return make_set(tmp_path_factory.mktemp("data") / "hand", train=14)


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    return train(
        tiny(folder, tmp_path_factory.mktemp("one") / "run", backbone=plain_net(), **OPTIONS)
    )


def launch(script, *words, processes=2):
    """Python processes that share every batch, as ``torchrun`` and ``accelerate launch`` start."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        start(
            script, *words, **address, RANK=str(rank), LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
        )
        for rank in range(processes)
    ]  # fmt: skip


def ended(children, *, within=120):
    """Exit statuses and errors of all."""
    try:
        errors = [child.communicate(timeout=within)[1] for child in children]
    finally:
        for child in children:
            child.kill()
    return [child.returncode for child in children], "\n".join(errors)


def assert_like_one(run, alone):
    rows, wanted = run.history(), alone.history()
    assert len(rows) == len(wanted) == 3
    for row, one in zip(rows, wanted, strict=True):
        assert row == pytest.approx(one, rel=1e-4, abs=1e-7, nan_ok=True)
    weights, kept = load_file(run.weights), load_file(alone.weights)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, kept[name], rtol=1e-4, atol=1e-6)
    assert run.record["kept_epoch"] == alone.record["kept_epoch"]
    assert sorted(p.name for p in run.folder.iterdir()) == sorted(
        p.name for p in alone.folder.iterdir()
    )


def test_two_processes_train_as_one_and_stop_together(folder, alone, tmp_path):
    """Stopped twice in the middle of an epoch: its loss, too, is that of all its steps."""
    out, note = tmp_path / "run", tmp_path / "note"
    words = [folder, out, json.dumps(OPTIONS), "[0, 0, 0, null]", note]
    statuses, errors = ended(launch(SCRIPT, *words))
    assert statuses == [0, 0], errors
    wanted = "2 [False, False, False, True]"
    assert [Path(f"{note}{rank}").read_text() for rank in range(2)] == [wanted] * 2
    assert_like_one(Run(out), alone)


def test_a_signal_to_one_stops_both(folder, tmp_path):
    out, note = tmp_path / "run", tmp_path / "note"
    options = json.dumps(OPTIONS | {"epochs": 100_000, "protocol": "last"})
    children = launch(SCRIPT, folder, out, options, "[null]", note)
    until = time.monotonic() + 60
    while not Run(out).checkpoint.is_file() and time.monotonic() < until:
        time.sleep(0.1)
    children[1].send_signal(signal.SIGTERM)
    statuses, errors = ended(children)
    assert statuses == [0, 143], errors
    assert not Run(out).finished
    states = torch.load(Run(out).checkpoint, weights_only=True)
    assert len(states["history"]) == states["epoch"] > 0
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


REFUSED = """
import json, sys
from tinyrun import plain_net, tiny
from festkit.training import train
folder, options, *folders = sys.argv[1:]
for out in folders:
    try:
        train(tiny(folder, out, backbone=plain_net(), **json.loads(options)))
    except OSError as error:
        print(type(error).__name__, error, file=sys.stderr)
"""


def test_a_folder_that_is_refused_is_refused_to_all(folder, alone, tmp_path):
    busy = tmp_path / "run"
    with file_lock(busy / LOCK):
        words = [folder, json.dumps(OPTIONS | {"seed": 1}), alone.folder, busy]
        statuses, errors = ended(launch(REFUSED, *words))
    assert statuses == [0, 0], errors
    for message in (
        "ExistingFileError .* already holds another run .*seed 0 -> 1",
        rf"BusyError .* is being trained by process {os.getpid()} on ",
    ):
        assert len(re.findall(message, errors)) == 2, errors


NOTEBOOK = """
import json, os, sys
from accelerate import notebook_launcher
from tinyrun import plain_net, tiny
from festkit.training import train

def go(folder, out, options):
    train(tiny(folder, out, backbone=plain_net(), **options))

folder, out, options, port = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
for precision in ("bf16", "fp32"):
    go(folder, f"{out} {precision}", options | {"epochs": 1, "precision": precision})
notebook_launcher(go, (folder, out, options), num_processes=2, use_port=port)
go(folder, f"{out} after", options | {"epochs": 1, "precision": "bf16"})
"""


def test_from_a_notebook_after_other_trainings(folder, alone, tmp_path):
    out = tmp_path / "run"
    child = start(NOTEBOOK, folder, out, json.dumps(OPTIONS), free_port())
    statuses, errors = ended([child])
    assert statuses == [0], errors
    assert_like_one(Run(out), alone)
    found = [
        Run(tmp_path / f"run {name}").record["precision"] for name in ("bf16", "fp32", "after")
    ]
    assert found == ["bf16", "fp32", "bf16"]


def test_by_accelerate_launch(folder, alone, tmp_path):
    """One process here: for several on CPUs alone, accelerate wants MPI."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", str(script),
        str(folder), str(tmp_path / "run"), json.dumps(OPTIONS), "[null]", str(tmp_path / "note"),
    ]  # fmt: skip
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == alone.weights.read_bytes()


def test_trainings_of_one_process_may_differ_in_precision(folder, tmp_path):
    found = [
        train(tiny(folder, tmp_path / f"{n}", epochs=1, precision=precision)).record["precision"]
        for n, precision in enumerate(("bf16", "fp32", "bf16"))
    ]
    assert found == ["bf16", "fp32", "bf16"]
