"""The wheel, installed where no clone is near, does what a user does first."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest

import festkit

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """An empty folder, and a function that runs a program of an environment with the wheel.

    The environment borrows the packages of this one; its festkit is that of the wheel.
    """
    top = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", top / "dist", ROOT]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(top / "venv")
    base = {"base": str(top / "venv"), "platbase": str(top / "venv")}
    site, scripts = (sysconfig.get_path(name, "venv", base) for name in ("purelib", "scripts"))
    pip = [sys.executable, "-m", "pip", "--python", Path(scripts, "python")]
    (wheel,) = (top / "dist").glob("*.whl")
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    folder = top / "empty"
    folder.mkdir()
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and "FESTKIT" not in k}
    env = kept | {
        "XDG_CACHE_HOME": str(top / "cache"),
        "JUPYTER_PATH": str(Path(sys.prefix, "share", "jupyter")),  # templates of the pages
        "NUMBA_DISABLE_JIT": "1",  # a new installation compiles for a minute
        "OMP_NUM_THREADS": "1",
    }

    def start(program, *words):
        return subprocess.Popen(
            [Path(scripts, program), *words],
            cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(program, *words):
        process = start(program, *words)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed

    return SimpleNamespace(run=run, start=start, folder=folder, site=Path(site), wheel=wheel)


def test_it_is_the_wheel_that_runs(user):
    assert user.wheel.name.startswith(f"festkit-{festkit.__version__}-")
    assert user.wheel.stat().st_size < 10e6
    found = user.run("python", "-c", "import festkit; print(festkit.__file__)")
    assert Path(found.strip()).is_relative_to(user.site)
    assert user.run("festkit", "--version") == f"festkit {festkit.__version__}\n"


def test_every_file_of_the_kit_is_installed(user):
    named = subprocess.run(
        ["git", "ls-files", "festkit", "notebooks/*.ipynb", "weights/*/*.json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    places = {name if name.startswith("festkit") else f"festkit/shipped/{name}" for name in named}
    assert len(places) > 200
    assert {name for name in places if not (user.site / name).is_file()} == set()


def test_demo(user):
    user.run("festkit", "data", "synth", "sky", "--train", "4", "--test", "2", "--size", "64")
    words = ["--dataset", "sky", "--sizes", "32", "48", "--epochs", "2", "--out", "demo"]
    printed = user.run("festkit", "demo", *words)
    assert "pretrained.png  another scene, with the shipped weights of ACM" in printed
    assert (user.folder / "demo" / "fest.safetensors").is_file()


def test_predict_and_from_pretrained(user):
    user.run("festkit", "predict", "sky/images", "--out", "found")
    assert (user.folder / "found" / "targets.csv").is_file()
    code = "import festkit as fk; print(fk.FEST.from_pretrained('universal'))"
    assert user.run("python", "-c", code).startswith("FEST(ACM 1.3 x, ACM 2 x; th1=")
    code = "import festkit as fk; print(fk.FEST.from_pretrained('ACM', 'NUAA-SIRST'))"
    assert user.run("python", "-c", code).startswith("FEST(ACM 512 px, ACM 768 px; th1=0.5")


def test_tune(user):
    run = next((user.folder / "demo").rglob("record.json")).parent
    process = user.start("festkit", "tune", str(run), "--no-browser")
    try:
        assert re.search(r"The tuner is at http://127\.0\.0\.1:\d+", process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=60)
