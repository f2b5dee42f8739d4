import errno
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from handmade import HEIGHT, WIDTH, make_set
from PIL import Image

import festkit
from festkit._support.errors import FestkitError, NumericalError
from festkit._support.files import write_json, write_text
from festkit.cli.demo import draw_pretrained
from festkit.cli.main import COMMANDS, CONTINUING, main
from festkit.data.dataset import load_dataset
from festkit.fest import FEST
from festkit.jobs.job import Outcome
from festkit.metrics import Counts
from festkit.pretrained import weights_file
from festkit.tables.plan import plan_jobs
from festkit.tables.records import save_results
from festkit.training import trainer
from festkit.training.run import Run
from festkit.tuner import serve

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("data") / "hand")


class TestHelp:
    @pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
    def test_it_lists_every_command(self, words, capsys):
        assert main(words) == 0
        text = capsys.readouterr().out
        assert all(f"festkit {name} " in text for name in COMMANDS)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_explains_its_options(self, name, capsys):
        with pytest.raises(SystemExit) as stopped:
            main([*name.split(), "--help"])
        assert stopped.value.code == 0
        text = capsys.readouterr().out
        assert f"festkit {name}" in text
        assert "show this help message and exit" in text
        documented = text.split("show this help message and exit")[1]
        assert all(words in documented for words in re.findall(r"--[a-z-]+", text.split("\n")[0]))

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                ["dmeo"],
                "unknown command 'dmeo'; choose from demo, data check, .* Did you mean 'demo'",
            ),
            (["data", "chek"], "unknown command 'data chek'; .* Did you mean 'data"),
            (["--size", "3"], "unknown command '--size'"),
        ],
    )
    def test_an_unknown_command(self, words, message, capsys):
        assert main(words) == 2
        assert_one_line(capsys.readouterr().err, message)

    def test_an_unknown_option(self, capsys):
        with pytest.raises(SystemExit) as stopped:
            main(["demo", "--epoch", "3"])
        assert stopped.value.code == 2
        assert "--epochs" in capsys.readouterr().err

    def test_descriptions_are_not_broken_into_lines(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit):
            main(["predict", "--help"])
        assert "or run folders; several are the scales of one FEST." in capsys.readouterr().out

    def test_options_that_may_be_left_out_show_their_type(self, capsys):
        with pytest.raises(SystemExit):
            main(["predict", "--help"])
        text = capsys.readouterr().out
        assert "{None}" not in text
        assert re.search(r"--threads INT .*\n?.*\(default:\W+unset\)", text)

    @pytest.mark.parametrize("word", ["None", "unset"])
    def test_options_that_may_be_left_out_read_their_default(self, word, capsys):
        assert main(["predict", "nowhere", "--threads", word]) == 1
        assert "no such image file or folder: nowhere" in capsys.readouterr().err

    @pytest.mark.parametrize("words", [["zoo"], ["zoo", "--help"]])
    def test_a_group_lists_its_commands(self, words, capsys):
        assert main(words) == 0
        text = capsys.readouterr().out
        assert "festkit zoo verify " in text
        assert "festkit demo" not in text

    @pytest.mark.system
    def test_as_a_module(self):
        done = subprocess.run(
            [sys.executable, "-m", "festkit", "backbones", "--sise"],
            cwd=REPOSITORY, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2

    @pytest.mark.system
    def test_a_warning_for_the_user_is_one_line(self):
        script = """
import warnings, festkit.cli.main as m
def command():
    warnings.warn("look")
    warnings.warn("old", FutureWarning)
m.COMMANDS["backbones"] = "", lambda: command
m.main(["backbones"])
warnings.warn("after")
"""
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, check=True
        )
        first, second, third = done.stderr.decode().splitlines()
        assert first == "warning: look"
        assert second.endswith(": FutureWarning: old")
        assert third.endswith(": UserWarning: after")

    def test_the_version(self, capsys):
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"festkit {festkit.__version__}\n"

    @pytest.mark.system
    def test_text_is_printed_at_once_because_nothing_slow_is_imported(self):
        script = """
import sys
from contextlib import suppress
from festkit.cli.main import COMMANDS, main
listings = [["--version"], ["--help"], ["zoo", "list"], ["tables", "list"], ["backbones"]]
for words in [*listings, *([*name.split(), "--help"] for name in COMMANDS)]:
    with suppress(SystemExit):
        main(words)
    slow = {"torch", "numpy", "pandas", "numba", "matplotlib", "cv2"} & sys.modules.keys()
    assert not slow, (words, slow)
"""
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


ODD = "10⁻⁶ 红外"
"""A name that neither cp936 nor cp1252 can write."""


def run_piped(words, encoding):
    """Run a command whose streams are such as Windows gives to a pipe.

    Returns the exit status and what was written to output and error, read as UTF-8.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    for stream in (out, err):
        stream.flush()
    return status, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an odd name: a dataset, one without lists, and a run."""
    place = tmp_path_factory.mktemp("odd") / ODD
    make_set(place / "hand")
    for folder in ("images", "masks"):
        shutil.copytree(place / "hand" / folder, place / "new" / folder)
    words = ["--size", "32", "--epochs", "1", "--device", "cpu", "--out", str(place / "run")]
    assert main(["train", "--dataset", str(place / "hand"), *words]) == 0
    return place


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp936", "cp1252"])
class TestEncodings:
    """Every command ends well on a pipe whose encoding knows few characters."""

    MODEL = "nuaa-sirst/acm-256-eedm"

    @pytest.fixture
    def stand_ins(self, monkeypatch):
        """For what takes minutes: the commands print what it gives them."""
        hit = Counts(images=1, pixels=10**6, intersection=1, predicted=1, true=2, targets=1)

        def run_notebook(name, parameters, out):
            write_text(out / "table.txt", "Fa 10⁻⁶")

        def run_jobs(jobs, folder, **options):
            run = {"table": "losses", "profile": "smoke", "dataset": "sky", "measured": "sky"}
            done = folder / "done" / jobs[-1].key
            save_results(done, {"BCE": [hit, hit]}, **run)
            return [Outcome(job.key, "done", done) for job in jobs]

        def stored(name, *_, **__):
            return weights_file(name)

        monkeypatch.setattr("festkit.jobs.execute.run_notebook", run_notebook)
        monkeypatch.setattr("festkit.jobs.schedule.run_jobs", run_jobs)
        monkeypatch.setattr("festkit.data.wirstd.build_wirstd", lambda folder, **_: folder)
        monkeypatch.setattr("festkit.zoo.train.train_entry", stored)
        monkeypatch.setattr("festkit.zoo.train.store", stored)
        monkeypatch.setattr(serve, "serve", lambda runs, **_: print(f"The tuner of {runs[0]} – ²"))

    def test_every_command(self, place, stand_ins, encoding, tmp_path):
        hand, run, out = (str(path) for path in (place / "hand", place / "run", tmp_path / ODD))
        new = str(shutil.copytree(place / "new", tmp_path / ODD / "new"))
        device = ["--device", "cpu"]
        walk = {
            "demo": ["--out", f"{out}/demo"],
            "data check": [hand],
            "data split": [new],
            "data convert": [hand, f"{out}/converted"],
            "data layouts": [],
            "data build-wirstd": [f"{out}/subset"],
            "data synth": [f"{out}/sky", "--train", "1", "--test", "1", "--size", "64"],
            "backbones": [],
            "detectors": [],
            "train": ["--dataset", hand, "--size", "32", "--epochs", "1", "--out", run, *device],
            "evaluate": [run, "--dataset", hand, *device],
            "predict": [f"{hand}/images", "--model", run, "--out", f"{out}/found", *device],
            "tables list": [],
            "tables plan": ["losses", "--folder", out],
            "tables run": ["losses", "--folder", out],
            "tables show": ["th2"],
            "zoo list": [],
            "zoo train": [self.MODEL],
            "zoo store": [self.MODEL, run],
            "zoo evaluate": [self.MODEL, "--dataset", hand, *device],
            "zoo verify": [self.MODEL, "--data-root", out],
            "tune": [run],
            "export": [run, "--out", f"{out}/fest.onnx"],
            "weights fetch": [self.MODEL],
        }
        assert set(walk) == set(COMMANDS)
        said = ""
        for name, words in walk.items():
            status, out, err = run_piped([*name.split(), *words], encoding)
            assert status == 0, (name, err)
            assert out
            said += out
        assert all(letters in said for letters in (ODD, "Fa 10⁻⁶", "256²", "–"))

    @pytest.mark.system
    def test_a_process_of_its_own_warns_counts_and_fails(self, encoding):
        script = f"""
import warnings, festkit.cli.main as m
from festkit._support import progress
from festkit._support.errors import InputError
progress.DELAY = 0
def command():
    print("{ODD}")
    warnings.warn("look at {ODD}")
    list(progress.progress(range(3), "{ODD}", unit="m²"))
    raise InputError("no {ODD}, and \\udcff of a file's name")
m.COMMANDS["backbones"] = "", lambda: command
raise SystemExit(m.main(["backbones"]))
"""
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=REPOSITORY, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True,
            check=False,
        )  # fmt: skip
        said = done.stderr.decode("utf-8")
        assert done.returncode == 1, said
        assert done.stdout.decode("utf-8").strip() == ODD
        assert f"warning: look at {ODD}" in said
        assert f"{ODD}: " in said
        assert f"festkit backbones: no {ODD}, and ? of a file's name" in said


STUDIES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for folder in ("benchmarks", "studies")
    for path in sorted((REPOSITORY / folder).glob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_studies_write_to_a_pipe_of_few_characters(name, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp936")
    monkeypatch.setattr("tyro.cli", lambda _: print(ODD))
    with redirect_stdout(out), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
        runpy.run_module(name, run_name="__main__")
    out.flush()
    assert out.buffer.getvalue().decode("utf-8").strip() == ODD


def assert_one_line(text, pattern):
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("festkit")
    assert re.search(pattern, lines[0]), text


class TestDataCheck:
    def test_a_good_folder(self, folder, capsys):
        assert main(["data", "check", str(folder)]) == 0
        assert "9" in capsys.readouterr().out

    def test_a_faulty_folder(self, folder, tmp_path, capsys):
        shutil.copytree(folder, tmp_path / "bad")
        (tmp_path / "bad" / "masks" / "t1.png").unlink()
        with pytest.raises(SystemExit) as stopped:
            main(["data", "check", str(tmp_path / "bad")])
        assert stopped.value.code == 1
        assert "t1" in capsys.readouterr().out

    def test_a_folder_under_the_root(self, folder, capsys):
        assert main(["data", "check", "hand", "--data-root", str(folder.parent)]) == 0

    def test_a_missing_set_says_how_to_get_it(self, tmp_path, capsys):
        assert main(["data", "check", "NUAA-SIRST", "--data-root", str(tmp_path)]) == 1
        assert_one_line(
            capsys.readouterr().err, r"festkit data check: NUAA-SIRST is not .*How to ge"
        )


class TestDataSplit:
    def test_a_folder_without_lists(self, folder, tmp_path, capsys):
        for place in ("images", "masks"):
            shutil.copytree(folder / place, tmp_path / "own" / place)
        own = tmp_path / "own"
        with pytest.raises(SystemExit):
            main(["data", "check", str(own)])
        assert f"let festkit data split {own} draw them" in capsys.readouterr().out
        assert main(["data", "split", str(own), "--test", "0.4"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"{own / 'train.txt'}: 5 images", f"{own / 'test.txt'}: 4 images",
        ]  # fmt: skip
        assert main(["data", "check", str(own)]) == 0
        capsys.readouterr()
        assert main(["data", "split", str(own)]) == 1
        assert_one_line(capsys.readouterr().err, "^festkit data split: .*already has lists")


class TestOwnImages:
    MODEL = "nuaa-sirst/acm-256-eedm"

    def test_predict(self, tmp_path, capsys):
        images, out = str(REPOSITORY / "data" / "samples" / "images"), str(tmp_path / "out")
        words = ["predict", images, "--model", self.MODEL, "--out", out, "--format", "csv"]
        assert main([*words, "--device", "cpu"]) == 0
        told = re.search(r"targets.csv: (\d+) strong and (\d+) weak", capsys.readouterr().out)
        rows = (tmp_path / "out" / "targets.csv").read_text(encoding="utf-8").splitlines()[1:]
        assert [sum(f",{kind}," in row for row in rows) for kind in ("strong", "weak")] == [
            int(count) for count in told.groups()
        ]
        assert int(told[1]) > 5
        assert main([*words, "--no-weak"]) == 1
        assert_one_line(capsys.readouterr().err.splitlines()[-1], "th2 0.1 -> None")

    def test_predict_counts_what_it_found_beside_a_broken_file(self, tmp_path, capsys):
        frame = np.full((48, 64), 3000, np.uint16)
        frame[20:23, 30:33] = 4000
        Image.fromarray(frame).save(tmp_path / "good.png")
        (tmp_path / "bad.png").write_bytes(b"no image")
        words = ["predict", str(tmp_path), "--model", self.MODEL, "--out", str(tmp_path / "out")]
        assert main([*words, "--levels", "2000", "4096", "--device", "cpu"]) == 1
        told = capsys.readouterr()
        assert re.search(r"targets.csv: \d+ strong and \d+ weak", told.out)
        assert re.search(r"1 of 2 files were not read.*\n.*bad\.png", told.err)
        settings = json.loads((tmp_path / "out" / "prediction.json").read_text())
        assert settings["levels"] == [2000, 4096]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "no images given; pass files or folders before --model"),
            (["--model", "nuaa-sirst/acm", "data/samples/images"], "before --model"),
            (["data/samples/images", "--th1", "3"], r"th1 is 3.0, expected a probability in"),
            (["data/samples/images", "--no-weak", "--th2", "0.1"], "drop one"),
            (["data/samples/images", "--model", "acm"], "acm is not a file, a folder, or an en"),
        ],
    )
    def test_predict_refuses(self, words, message, tmp_path, capsys):
        assert main(["predict", *words, "--out", str(tmp_path / "out")]) == 1
        assert_one_line(capsys.readouterr().err, message)

    def test_evaluate(self, capsys):
        samples = str(REPOSITORY / "data" / "samples")
        assert main(["evaluate", self.MODEL, "--dataset", samples, "--th1", "0.6"]) == 0
        text = capsys.readouterr().out
        fest = FEST.from_weights([weights_file(self.MODEL)])
        fest.th1 = 0.6
        counts = fest.evaluate(load_dataset(samples, "test"))
        assert f"{self.MODEL} on samples, test: 4 images" in text
        (row,) = [line for line in text.splitlines() if line.startswith("| 0.6 / 0.1 |")]
        figures = [float(cell.split()[0]) for cell in row.split("|")[2:6]]
        expected = [100 * counts.iou, 100 * counts.niou, 100 * counts.pd, 1e6 * counts.fa]
        assert figures == [round(value, 2) for value in expected]

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--th1", "0.1", "--th2", "0.5"], "th2 0.5 is not below 2 times th1 0.1: .* no weak"),
            (["--th1", "0.25", "--th2", "0.5"], "th2 0.5 is not below 2 times th1 0.25"),
            (["--th1", "0.3", "--th2", "0.5"], None),  # one scale may see what the mean does not
            (["--th1", "0.1", "--th2", "0.5", "--rule", "fused"], "th2 = 0.5 is not below th1"),
            (["--th1", "0.1", "--no-weak"], None),
        ],
    )
    def test_predict_warns_of_thresholds_without_weak_targets(self, options, told, tmp_path):
        image = tmp_path / "a.png"
        Image.linear_gradient("L").resize((32, 32)).save(image)
        words = ["predict", str(image), "--out", str(tmp_path / "out"), "--format", "csv"]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            assert main([*words, "--model", "nuaa-sirst/acm", "--device", "cpu", *options]) == 0
        assert len(caught) == (told is not None)
        assert all(re.search(str(told), str(one.message)) for one in caught)

    def test_evaluate_on_one_image(self, tmp_path, capsys):
        """It has figures, but no intervals."""
        samples = REPOSITORY / "data" / "samples"
        one = shutil.copytree(samples, tmp_path / "one + only")
        first = load_dataset(samples, "test").names[0]
        (listed,) = (one / "img_idx").glob("test*.txt")
        listed.write_text(first)
        assert main(["evaluate", self.MODEL, "--dataset", str(one)]) == 0
        rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 0.5")]
        assert len(rows) == 2
        assert not any("[" in row for row in rows)
        assert main(["data", "check", str(one)]) == 0

    def test_evaluate_without_a_model(self, capsys):
        assert main(["evaluate", "--dataset", "NUAA-SIRST"]) == 1
        assert_one_line(capsys.readouterr().err, "no model or predictions given; pass them")

    @pytest.mark.parametrize(
        ("name", "split", "warned"),
        [
            ("SIRST-V2", "test", "contains images of NUAA-SIRST: it may .* on these images"),
            ("NUAA-SIRST", "all", "contains images of NUAA-SIRST: it may .* on these images"),
            ("NUAA-SIRST", "test", None),
        ],
    )
    def test_evaluate_warns_of_images_seen_in_training(self, name, split, warned, tmp_path):
        shutil.copytree(REPOSITORY / "data" / "samples", tmp_path / name)
        words = ["evaluate", self.MODEL, "--dataset", name, "--split", split]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert main([*words, "--data-root", str(tmp_path)]) == 0
        told = [str(one.message) for one in caught if "was trained on" in str(one.message)]
        assert len(told) == (warned is not None)
        assert all(re.search(str(warned), one) for one in told)


class TestSmallCommands:
    def test_backbones(self, capsys):
        assert main(["backbones"]) == 0
        rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
        assert rows["ACM"][1:7] == ["397,971", "397,971", "0.346", "1.383", "16", "no"]
        assert rows["ALCNet"][1:7] == ["427,109", "520,037", "0.297", "1.190", "16", "no"]
        dna_net = [
            "4,696,837",
            "4,696,888",
            "13.927",
            "(13.930)",
            "55.708",
            "(55.720)",
            "16",
            "yes",
        ]
        assert rows["DNA-Net"][1:9] == dna_net

    def test_data_synth(self, tmp_path, capsys):
        where = tmp_path / "sky"
        words = ["--train", "2", "--test", "1", "--size", "64", "--seed", "5"]
        assert main(["data", "synth", str(where), *words]) == 0
        assert capsys.readouterr().out.strip() == str(where)
        assert main(["data", "check", str(where)]) == 0

    def test_train(self, folder, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        out = tmp_path / "run"
        words = [
            "train", "--dataset", "hand", "--data-root", str(folder.parent), "--size", "32",
            "--epochs", "1", "--loss-options", "edge_weight", "2", "--device", "cpu",
            "--out", "run",
        ]  # fmt: skip
        assert main(words) == 0
        finished, *table, following = capsys.readouterr().out.strip().split("\n")
        assert finished == "finished: run"
        assert following == (  # from any folder
            f"next: festkit evaluate {out} --dataset NAME; festkit tune {out}; "
            f"festkit predict IMAGES --model {out}"
        )
        assert main(["evaluate", str(out), "--dataset", str(folder), "--device", "cpu"]) == 0
        evaluated = capsys.readouterr().out.strip().split("\n")
        assert [line.split("|")[1] for line in table if line] == [
            line.split("|")[1] for line in evaluated if line.startswith("|")
        ]
        record = Run(out).record
        assert f"| {100 * record['test'][0]['iou']:.2f} [" in table[3]
        assert (record["dataset"], record["loss_options"]) == ("hand", {"edge_weight": 2})
        with Image.open(out / "curves.png") as curves:
            assert min(curves.size) > 200

    def test_train_within_a_time(self, folder, tmp_path, capsys):
        out = tmp_path / "run"
        words = ["train", "--dataset", str(folder), "--size", "32", "--epochs", "1"]
        words += ["--batch-size", "2", "--device", "cpu", "--out", str(out)]
        assert main([*words, "--max-minutes", "0"]) == 0
        assert capsys.readouterr().out.strip() == (
            f"stopped after 0 minutes; run the same command to continue: {out}"
        )
        assert main([*words, "--max-minutes", "0", "--resume", "never"]) == 0
        assert "the same command without --resume never to continue" in capsys.readouterr().out
        assert not Run(out).finished
        Run(out).checkpoint.write_bytes(b"half")
        assert main(words) == 1
        assert_one_line(
            last_line(capsys), r"^festkit train: .*checkpoint\.pt is damaged; delete it to"
        )
        assert main([*words, "--resume", "never"]) == 0
        assert main(words) == 0
        assert capsys.readouterr().out.splitlines().count(f"finished: {out}") == 2
        assert main([*words, "--seed", "1"]) == 1
        assert_one_line(last_line(capsys), r"already holds another run \(seed 0 -> 1\); choose ano")


class TestTables:
    def test_list(self, capsys):
        assert main(["tables", "list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        names = ["input_size", "losses", "fusion", "th1", "th2", "backbones", "hyperparameters"]
        assert [line.split()[0] for line in lines] == [*names, "sensitivity"]
        assert re.search(r"Fig\. 7 +drawn in the paper, without numbers$", lines[-1])
        assert lines[3].split()[:5] == ["th1", "Table", "4", "10", "rows"]

    @pytest.mark.parametrize(
        ("style", "line"),
        [
            ("text", r" 0.4 +65.91 +76.44 +13.03 +71.18"),
            ("markdown", r"\| 0.4 \| 65.91 \| 76.44 \| 13.03 \| 71.18 \|"),
            ("latex", r"0.4 & 65.91 & 76.44 & 13.03 & 71.18 \\\\"),
            ("html", r"<td>65.91</td>\s*<td>76.44</td>\s*<td>13.03</td>\s*<td>71.18</td>"),
        ],
    )
    def test_show(self, style, line, capsys):
        for name in ("th1", "4", "table4_th1"):
            assert main(["tables", "show", name, "--format", style]) == 0
            assert re.search(line, capsys.readouterr().out)

    def test_show_with_ours_of_two_seeds(self, tmp_path, capsys):
        hit = Counts(images=1, pixels=10**6, intersection=1, predicted=1, true=2, targets=1)
        for seed in "ab":
            save_results(tmp_path / seed, {"th1 0.4": [hit, hit]}, measured="sky")
        words = ["tables", "show", "th1", "--format", "markdown", "--ours"]
        assert main([*words, str(tmp_path / "a"), str(tmp_path / "b" / "metrics.json")]) == 0
        text = capsys.readouterr().out
        assert "Ours: sky" in text
        assert re.search(r"\| 0.4 \| 50.00[^|]* \[\d+.\d\d, \d+.\d\d\] \| 65.91 \| −15.91 \|", text)
        assert "| 0.3 | not run | 64.22 | – |" in text
        assert text.count("| 2 |") == 1

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["th3"], "unknown table 'th3'; choose from input_size, .*Did you mean 'th"),
            (
                ["th1", "--ours", "missing.json"],
                "no such file: missing.json; restore it, or check the name",
            ),
        ],
    )
    def test_an_error_is_one_line(self, words, message, capsys):
        assert main(["tables", "show", *words]) == 1
        assert_one_line(capsys.readouterr().err, f"^festkit tables show: .*{message}")

    def test_a_plan_says_what_is_done_and_what_is_left(self, tmp_path, capsys):
        jobs = plan_jobs("losses")
        for job in jobs[:3]:
            (tmp_path / "done" / job.key).mkdir(parents=True)
        times = {"started": "2026-01-01T10:00:00", "ended": "2026-01-01T10:03:00"}
        given = {
            "notebook": "02_train.ipynb",
            "parameters": jobs[1].resolve_outputs(lambda o: o.path),
        }
        write_json(tmp_path / "done" / jobs[1].key / "environment.json", given | times)
        for words in (["plan"], ["run", "--dry-run"]):
            assert main(["tables", words[0], "losses", *words[1:], "--folder", str(tmp_path)]) == 0
            lines = capsys.readouterr().out.splitlines()
            assert [line.split()[0] for line in lines[:-1]] == [job.key for job in jobs]
            assert ["done" in line for line in lines[:-1]] == [True] * 3 + [False] * 5
            assert "3.0 minutes" in lines[3]
            assert "02_train ACM 128 EE scenes seed 0" in "".join(lines)
            assert lines[-1] == (
                "8 jobs, 3 done, 5 left: about 12 minutes of one worker; time unknown for 1, since "
                "nothing like them is done here"
            )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["done"]

    def test_a_first_plan_knows_no_minutes_and_tells_what_is_missing(self, tmp_path, capsys):
        where = ["--folder", str(tmp_path), "--data-root", str(tmp_path)]
        assert main(["tables", "plan", "losses", "--profile", "quick", *where]) == 0
        *_, state, missing = capsys.readouterr().out.splitlines()
        assert state.startswith("7 jobs, 0 done, 7 left: time unknown for 7")
        assert "NUAA-SIRST" in missing
        assert str(tmp_path) in missing

    def test_a_run_prints_the_tables_and_tells_what_is_not_done(
        self, tmp_path, capsys, monkeypatch
    ):
        hit = Counts(images=1, pixels=10**6, intersection=1, predicted=1, true=2, targets=1)
        endings = ["done", "failed"]

        def pretend(jobs, folder, **options):
            assert options == {"workers": 2, "scheduler": None, "max_minutes": 5.0}
            last, done = jobs[-1], folder / "done" / jobs[-1].key
            run = {"table": "losses", "profile": "smoke", "dataset": "sky", "measured": "sky"}
            save_results(done, {"BCE": [hit, hit]}, **run)
            outcomes = [Outcome(job.key, "done", done) for job in jobs[:-1]]
            return [*outcomes, Outcome(last.key, endings.pop(0), done, "broken")]

        monkeypatch.setattr("festkit.jobs.schedule.run_jobs", pretend)
        words = ["tables", "run", "losses", "--workers", "2", "--max-minutes", "5"]
        words += ["--folder", str(tmp_path)]
        assert main(words) == 0
        said = capsys.readouterr().out
        assert re.search(r"BCE +50.00 \[\d+.\d\d, \d+.\d\d\]", said)
        assert "55.44" not in said  # the paper's: barely trained networks are not compared
        assert "8 of 8 jobs done" in said
        assert {path.name for path in (tmp_path / "tables").iterdir()} == {
            f"losses-smoke-sky.{kind}" for kind in ("csv", "md", "tex", "html")
        }
        assert (tmp_path / "results.parquet").is_file()
        assert main(words) == 1
        assert re.search(
            r"not all jobs are done.*\n.*table2_losses-\w+: broken", capsys.readouterr().err
        )

    def test_stale_jobs_are_named_and_run_again_or_kept(self, tmp_path, capsys, monkeypatch):
        keys = [job.key for job in plan_jobs("losses")]
        for job in plan_jobs("losses"):
            record = {"job": job.record, "notebook": f"{job.notebook}.ipynb", "parameters": {}}
            record |= {"started": "2026-01-01T10:00:00", "ended": "2026-01-01T10:03:00"}
            write_json(tmp_path / "done" / job.key / "environment.json", record)
            write_json(tmp_path / "done" / job.key / "metrics.json", {"n": 1})
        monkeypatch.setattr("festkit.jobs.provenance.__version__", "9.0")
        words = ["tables", "run", "losses", "--folder", str(tmp_path)]
        assert main([*words, "--dry-run"]) == 0
        said = capsys.readouterr().out
        for key in keys:
            assert f"{key} is stale: festkit was {festkit.__version__} and is now 9.0" in said
        assert "run again under new keys; --keep-stale uses" in said
        assert "8 jobs, 0 done, 8 left" in said
        assert main([*words, "--keep-stale"]) == 0
        said = capsys.readouterr().out
        assert f"{keys[0]} is stale" in said
        assert "used and marked in the tables" in said
        assert "8 of 8 jobs done" in said
        assert {path.name for path in (tmp_path / "done").iterdir()} == {*keys}

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["plan", "table9"], "unknown table 'table9'"),
            (["run", "th1", "--backbone", "ACM", "UIU-Net"], "is made with one network"),
            (["run", "th1", "--backbone", "NoNet"], "unknown backbone 'NoNet'"),
            (["run", "th1", "--profile", "quick", "--data-root", "/no"], "NUAA-SIRST.*no"),
        ],
    )
    def test_a_wrong_plan_is_one_line(self, words, message, capsys):
        assert main(["tables", *words]) == 1
        assert_one_line(capsys.readouterr().err, f"^festkit tables {words[0]}: .*{message}")


class TestTune:
    @pytest.fixture
    def served(self, monkeypatch):
        """What the command asks to be served."""
        served = []
        monkeypatch.setattr(
            serve, "serve", lambda *given, **options: served.append((given, options))
        )
        return served

    def test_one_run_as_it_is(self, served):
        assert main(["tune", "runs/a"]) == 0
        ((given, options),) = served
        assert given == ((Path("runs/a"),),)
        assert options == {
            "split": "test", "dataset": None, "data_root": None, "app": "auto", "port": None,
            "open_browser": True,
        }  # fmt: skip

    def test_every_option(self, served):
        words = ["--split", "holdout", "--data-root", "d", "--app", "lab", "--port", "8899"]
        words += ["--dataset", "scenes"]
        assert main(["tune", "a", "b", *words, "--no-browser"]) == 0
        ((given, options),) = served
        assert given == ((Path("a"), Path("b")),)
        assert options == {
            "split": "holdout", "dataset": "scenes", "data_root": "d", "app": "lab", "port": 8899,
            "open_browser": False,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "festkit tune: no runs given; pass at least one finished run"),
            (["missing"], "festkit tune: missing holds no finished run; finish the training"),
        ],
    )
    def test_an_error_is_one_line(self, words, message, capsys):
        assert main(["tune", *words]) == 1
        assert_one_line(capsys.readouterr().err, message)


def last_line(capsys):
    """Without the progress bars before it."""
    return re.split(r"[\r\n]", capsys.readouterr().err.strip())[-1]


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "message", "status"),
        [
            (MemoryError("a batch of 8 images"), "festkit train: a batch of 8 images", 1),
            (NumericalError("the loss is nan"), "festkit train: the loss is nan", 1),
            (OSError(28, "No space left on device"), "festkit train: .*No space left", 1),
            (KeyboardInterrupt(), "festkit train: interrupted; the same command continues$", 130),
        ],
    )
    def test_an_end_in_training_is_one_line(self, monkeypatch, capsys, error, message, status):
        def train(*_, **__):
            raise error

        monkeypatch.setattr(trainer, "train", train)
        assert main(["train", "--dataset", "sky", "--size", "32"]) == status
        assert_one_line(capsys.readouterr().err, message)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--size", "32", "--dataset", "nowhere/x"], "no such dataset folder: .*nowhere/x"),
            (["--size", "32", "--device", "gpu"], "unknown device 'gpu'"),
            (["--size", "32", "--initial-weights", "w"], "no such weights file: w"),
            (
                ["--size", "32", "--precision", "fp16", "--device", "cpu"],
                "precision fp16 trains on CUDA only, not on cpu; use bf16",
            ),
            (["--size", "32", "--holdout", "0.9"], "a holdout of 90% takes 5 of the 6 training "),
        ],
    )
    def test_train_ends_in_one_line(self, folder, tmp_path, options, message, capsys):
        given = ["train", "--dataset", str(folder), "--out", str(tmp_path / "run"), *options]
        assert main(given) == 1
        errors = [line for line in capsys.readouterr().err.splitlines() if "festkit" in line]
        assert_one_line("\n".join(errors), f"^festkit train: .*{message}")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--size", "40"], "size 40 px is not a positive multiple of 16, as ACM requires; "),
            (["--size", "32", "--loss", "BEC"], "unknown loss 'BEC'; choose from BCE, "),
            (["--size", "32", "--backbone", "ACN"], "unknown backbone 'ACN'; choose from ACM"),
            (["--size", "32", "--holdout", "2"], "holdout is 2.0, expected a share in (0, 1)"),
            (["--size", "32", "--protocol", "best"], "('holdout', 'paper', 'last')"),
            (["--size", "32", "--schedule", "step"], "('cosine', 'constant')"),
            (["--size", "32", "--cache-on", "disk"], "('device', 'host')"),
            (["--size", "32", "--precision", "fp8"], "('auto', 'fp32', 'bf16', 'fp16')"),
        ],
    )
    def test_a_wrong_option_is_explained(self, folder, options, message, capsys):
        with pytest.raises(SystemExit) as stopped:
            main(["train", "--dataset", str(folder), *options])
        assert stopped.value.code == 2
        unwrapped = " ".join(re.sub("[│|]", " ", capsys.readouterr().err).split())
        assert message.strip() in unwrapped
        assert "Traceback" not in unwrapped

    def test_the_traceback_is_there_for_who_wants_it(self, folder, capsys):
        words = ["train", "--dataset", str(folder), "--size", "32", "--device", "gpu"]
        assert main(words) == 1
        assert last_line(capsys).endswith(" (--debug shows where)")
        assert main([*words, "--debug"]) == 1
        told = capsys.readouterr().err
        assert "Traceback (most recent call last)" in told
        assert "InputError: unknown device 'gpu'" in told.splitlines()[-1]

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
            RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes\nat place"),
        ],
    )
    def test_too_little_memory_is_no_bug(self, error, monkeypatch, capsys):
        def full():
            raise error

        monkeypatch.setitem(COMMANDS, "predict", ("", lambda: full))
        assert main(["predict"]) == 1
        told = capsys.readouterr().err
        assert_one_line(told, "festkit predict: .*allocate .*; use --tile or a smaller size")

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("a"), RuntimeError("b"), KeyError("c"), OSError("no number"),
            ImportError("d"), FloatingPointError("e"), IndexError("f"), AssertionError(),
        ],
        ids=repr,
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["backbones", "zoo list", "tables plan"])
    def test_what_is_no_fault_of_the_user_is_told_as_a_bug(self, name, error, monkeypatch, capsys):
        def broken():
            raise error

        monkeypatch.setitem(COMMANDS, name, ("", lambda: broken))
        assert main(name.split()) == 1
        told = capsys.readouterr().err
        assert told.startswith("Traceback (most recent call last)")
        assert type(error).__name__ in told
        last = told.splitlines()[-1]
        assert last.startswith(f"festkit {name}: this is a bug in festkit {festkit.__version__}")
        assert "report it" in last

    @pytest.mark.parametrize("kind", FestkitError.__subclasses__())
    def test_each_error_of_the_kit_is_one_line(self, kind, monkeypatch, capsys):
        def broken():
            raise kind("what came")

        monkeypatch.setitem(COMMANDS, "backbones", ("", lambda: broken))
        assert main(["backbones"]) == 1
        assert_one_line(capsys.readouterr().err, "festkit backbones: what came")

    @pytest.mark.parametrize(
        ("words", "kept"),
        [
            (["demo"], True),
            (["predict"], True),
            (["tables", "run"], True),
            (["train"], True),
            (["train", "--resume", "never"], False),
            (["evaluate"], False),
            (["zoo", "verify"], False),
            (["data", "check"], False),
            (["tune"], False),
        ],
    )
    def test_ctrl_c_promises_only_what_was_kept(self, words, kept, monkeypatch, capsys):
        def interrupted(resume: str = "auto"):
            raise KeyboardInterrupt

        name = next(n for n in (" ".join(words[:2]), words[0]) if n in COMMANDS)
        monkeypatch.setitem(COMMANDS, name, ("", lambda: interrupted))
        assert main(words) == 130
        told = capsys.readouterr().err.strip()
        assert told == f"festkit {name}: interrupted" + "; the same command continues" * kept

    def test_every_command_that_keeps_something_is_one(self):
        assert set(COMMANDS) >= CONTINUING

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--dataset", "NUAA-SIRST", "--data-root", "/no"], "NUAA-SIRST is not under .*/no "),
            (["--dataset", "nope"], "unknown dataset 'nope'; choose from NUAA-SIRST"),
            (["--sizes", "250", "384"], "size 250 px is not a positive multiple of 16, as ACM"),
            (
                ["--sizes", "384", "256"],
                "sizes are 384 and 256 px, expected the larger size second",
            ),
            (["--backbone", "ACN"], "unknown backbone 'ACN'; choose from ACM"),
            (["--preset", "medium"], "unknown preset 'medium'; choose from easy, nuaa, hard"),
            (["--epochs", "1"], "epochs is 1, expected at least 2"),
            (["--threads", "0"], "threads is 0, expected a whole number from 1 to 1024, or None"),
        ],
    )
    def test_demo_refuses_before_anything_is_written(
        self, words, message, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(
            "festkit.jobs.execute.run_notebook", lambda *_: pytest.fail("it has started")
        )
        assert main(["demo", *words]) == 1
        assert_one_line(capsys.readouterr().err, f"^festkit demo: {message}")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.system
    @pytest.mark.skipif(not Path("/bin/sh").exists(), reason="pipes of a POSIX shell")
    def test_a_reader_that_has_seen_enough(self):
        """The pipe is closed before anything is written to it."""
        line = f"{{ sleep 1; '{sys.executable}' -m festkit backbones; echo $? >&2; }} | true"
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
        assert done.stderr.decode().split() == ["141"]

    def test_a_broken_pipe_of_its_own_is_an_error(self, monkeypatch, capsys):
        def broken():
            raise BrokenPipeError(errno.EPIPE, "of a worker")

        monkeypatch.setitem(COMMANDS, "backbones", ("", lambda: broken))
        assert main(["backbones"]) == 1
        assert_one_line(capsys.readouterr().err, "festkit backbones: .*of a worker")


@pytest.fixture(scope="module")
def demo(folder, tmp_path_factory):
    """The demo run twice on the hand-made set: its folder, and when its runs were written."""
    out = tmp_path_factory.mktemp("demo") / "out"
    words = ["demo", "--dataset", str(folder), "--sizes", "48", "64", "--epochs", "24"]
    times = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(out.parent)
        for _ in range(2):
            assert main([*words, "--out", "out"]) == 0
            times.append({path: path.stat().st_mtime_ns for path in out.glob("*/*")})
    return out, times


@pytest.mark.slow
class TestDemo:
    def test_it_writes_the_six_things(self, demo):
        out, _ = demo
        records = {"table.txt", "status.json", "progress.jsonl", "environment.json"}
        assert {
            "00_quickstart.ipynb", "00_quickstart.html", "metrics.json", "fest.safetensors",
            "figure.png", "figure.pdf", "figure.svg", "pretrained.png",
        } == {path.name for path in out.iterdir() if path.is_file()} - records  # fmt: skip
        with Image.open(out / "figure.png") as figure:
            assert min(figure.size) > 300

    def test_shipped_weights_draw_a_second_picture(self, demo):
        out, _ = demo
        with Image.open(out / "pretrained.png") as picture:
            assert min(picture.size) > 300

    def test_the_shipped_weights_find_the_targets(self, tmp_path, monkeypatch, capsys):
        monkeypatch.delenv("FESTKIT_WEIGHTS", raising=False)
        draw_pretrained(tmp_path / "pretrained.png")
        assert capsys.readouterr().out.endswith(": 4 of 4 targets, 0 false pixels\n")
        assert [path.name for path in tmp_path.iterdir()] == ["pretrained.png"]

    def test_without_shipped_weights_it_says_so_and_goes_on(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path))
        draw_pretrained(tmp_path / "pretrained.png")
        assert capsys.readouterr().out.startswith(
            "cannot draw the shipped weights: nuaa-sirst/acm-5"
        )
        assert list(tmp_path.iterdir()) == []

    def test_the_second_call_trains_nothing(self, demo):
        out, (first, second) = demo
        assert first == second
        assert {path.parent.name for path in first} == {"48-bce", "48-eedm", "64-eedm"}
        assert all(Run(path).finished for path in out.iterdir() if path.is_dir())

    def test_the_figures_are_sane(self, demo, folder):
        out, _ = demo
        metrics = json.loads((out / "metrics.json").read_text())
        assert list(metrics["schemes"]) == ["Original", "LW-FEST", "FEST"]
        for scheme in metrics["schemes"].values():
            assert (scheme["images"], scheme["targets"]) == (3, 4)
            assert scheme["pixels"] == 3 * HEIGHT * WIDTH
            assert 0 <= scheme["detected"] <= 4
            assert 0 <= scheme["intersection"] <= scheme["union"]
        assert metrics["schemes"]["FEST"]["pd"] > 0.5
        assert (metrics["dataset"], metrics["sizes"], metrics["epochs"]) == ("hand", [48, 64], 24)
        assert metrics["train_split"] == load_dataset(folder, "train").fingerprint
        assert metrics["rule"] == "per_scale"

    def test_the_records_of_the_runs_agree(self, demo):
        out, _ = demo
        schemes = json.loads((out / "metrics.json").read_text())["schemes"]
        baseline, light = Run(out / "48-bce").record, Run(out / "48-eedm").record
        assert (baseline["loss"], baseline["epochs"]) == ("BCE", 24)
        for name, own in (("Original", baseline["test"][0]), ("LW-FEST", light["test"][1])):
            assert {key: own[key] for key in schemes[name]} == schemes[name]
        second = Run(out / "64-eedm").record
        assert (second["epochs"], second["learning_rate"]) == (12, 1.5e-3)
        assert second["initial_weights"].endswith("48-eedm/weights.safetensors")

    def test_the_kept_fest_gives_the_table_again(self, demo, folder):
        out, _ = demo
        fest = FEST.load(out / "fest.safetensors")
        assert list(fest.backbones) == [48, 64]
        scheme = json.loads((out / "metrics.json").read_text())["schemes"]["FEST"]
        total = fest.evaluate(load_dataset(folder, "test")).record()
        assert {key: total[key] for key in ("detected", "targets")} == {
            key: scheme[key] for key in ("detected", "targets")
        }
        assert total["iou"] == pytest.approx(scheme["iou"], abs=0.02)
        table = (out / "table.txt").read_text(encoding="utf-8").splitlines()
        assert table[3].split()[:2] == ["FEST", f"{100 * scheme['iou']:.2f}"]

    def test_the_notebook_was_executed_with_the_given_parameters(self, demo):
        out, _ = demo
        book = nbformat.read(out / "00_quickstart.ipynb", as_version=4)
        injected = [
            cell.source for cell in book.cells
            if "injected-parameters" in cell.metadata.get("tags", [])
        ]  # fmt: skip
        assert len(injected) == 1
        assert "sizes = [48, 64]" in injected[0]
        assert not any(
            output["output_type"] == "error"
            for cell in book.cells
            for output in cell.get("outputs", [])
        )
