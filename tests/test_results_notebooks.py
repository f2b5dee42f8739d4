"""The notebooks of the paper's tables on two small runs: their figures are the library's."""

import json
import warnings

import nbformat
import numpy as np
import pytest
from PIL import Image

import festkit as fk
from festkit._files import write_json
from festkit.components import find_components
from festkit.jobs import run_notebook
from festkit.results import compare_files


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on the same scenes, which lie beside them, with maps of targets and false alarms."""
    folder = tmp_path_factory.mktemp("runs")
    images = fk.load_dataset(
        fk.make_synthetic_dataset(folder / "scenes", train=2, test=6, size=64), "test"
    )
    rng = np.random.default_rng(0)
    found = []
    for size in (32, 64):
        run = fk.Run(folder / str(size))
        run.write_maps("test", {sample.name: seen(sample.mask, rng) for sample in images})
        record = {"backbone": "ACM", "size": size, "dataset": "scenes"}
        write_json(run.folder / "record.json", record | {"test_split": images.fingerprint})
        found.append(run)
    return found


def seen(mask, rng):
    """A probability map that has every target and two other places at any height."""
    prob = np.zeros(mask.shape)
    for y, x in [*find_components(mask).centroid, *rng.uniform(4, 60, (2, 2))]:
        rows, columns = np.indices(mask.shape)
        bump = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / rng.uniform(1, 6))
        prob = np.maximum(prob, rng.uniform(0.06, 1) * bump)
    return prob.astype(np.float32)


def executed(name, runs, out):
    """The metrics that a notebook writes, and what it shows."""
    scenes = runs[0].folder.parent / "scenes"
    given = {"runs": {"fused": [str(run.folder) for run in runs]}, "dataset": str(scenes)}
    book = run_notebook(name, given | {"out": str(out / "work")}, out)
    text = book.read_text(encoding="utf-8")
    return json.loads((out / "work" / "metrics.json").read_text()), nbformat.reads(text, 4)


def counted(runs, th1, th2, *, per_scale=False):
    """The counts of AS on the fused maps, without a surface."""
    images = fk.load_dataset(runs[0].folder.parent / "scenes", "test")
    maps = [run.test_maps() for run in runs]
    total = fk.Counts()
    for sample in images:
        scales = [own[sample.name] for own in maps]
        prob = fk.fuse(scales, sample.mask.shape)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="th2 = ")
            found = fk.adjust_sensitivity(prob, th1, th2, scale_maps=scales if per_scale else None)
        total += fk.count(found.mask, sample.mask)
    return total.record()


def agree(scheme, expected):
    scheme.pop("intervals", None)
    assert scheme == pytest.approx(expected)


class TestTh1:
    def test_every_row_of_the_paper(self, runs, tmp_path):
        metrics, book = executed("table4_th1", runs[1:], tmp_path)
        assert list(metrics["schemes"]) == fk.paper_table("th1").index.tolist()
        for th1, (_, scheme) in zip(
            fk.paper_table("th1").th1, metrics["schemes"].items(), strict=True
        ):
            assert scheme["intervals"]["fa"]
            agree(scheme, counted(runs[1:], th1, None))
        assert (metrics["table"], metrics["sizes"]) == ("th1", [64])
        shown = book.cells[-1].outputs[0]["data"]["text/html"]
        assert "ACM 64 on scenes, test images; other images" in shown
        assert "not run" not in shown
        names = {path.name for path in (tmp_path / "work").iterdir()}
        assert {"table4_th1.csv", "table4_th1.md", "table4_th1.tex", "table4_th1.html"} < names


class TestTh2:
    def test_both_rules_of_two_scales(self, runs, tmp_path):
        metrics, book = executed("table5_th2", runs, tmp_path)
        paper, schemes = fk.paper_table("th2"), metrics["schemes"]
        assert metrics["rule"] == "per scale"
        for row, th2 in paper.th2.replace(np.nan, None).items():
            agree(schemes.pop(row), counted(runs, 0.3, th2, per_scale=True))
            if th2 is None or th2 < 0.3:
                agree(schemes.pop(f"fused: {row}"), counted(runs, 0.3, th2))
        assert schemes == {}
        shown = book.cells[-1].outputs[0]["data"]["text/html"]
        assert shown.count("not run") == 4 * 3  # th2 of 0.5, 0.4 and 0.3 on the fused map
        table = compare_files([tmp_path / "work"], paper)
        assert (table.seeds == 1).all()

    def test_one_run_has_one_rule(self, runs, tmp_path):
        metrics, book = executed("table5_th2", runs[:1], tmp_path)
        assert metrics["rule"] == "fused"
        assert len(metrics["schemes"]) == 4
        assert "so that rule is skipped" in str(book.cells)


class TestFigure7:
    def test_its_figures_and_picture(self, runs, tmp_path):
        metrics, book = executed("fig7_sensitivity", runs, tmp_path)
        agree(metrics["schemes"]["th1 0.5"], counted(runs, 0.5, None))
        agree(metrics["schemes"]["th1 0.3"], counted(runs, 0.3, None))
        (best,) = [name for name in metrics["schemes"] if name.startswith("best")]
        th1, th2 = (float(part.split()[-1]) for part in best.split(",")[1:])
        agree(metrics["schemes"][best], counted(runs, th1, th2, per_scale=True))
        assert "image/png" in book.cells[-1].outputs[0]["data"]
        with Image.open(tmp_path / "work" / "fig7_sensitivity.png") as picture:
            assert min(picture.size) > 600
        surface = fk.ThresholdSurface.load(tmp_path / "work" / "surface.npz")
        assert surface.at(0.3, 0.1).record() == pytest.approx(
            counted(runs, 0.3, 0.1, per_scale=True)
        )


OTHERS = {
    "table1_input_size": "input_size",
    "table2_losses": "losses",
    "table3_fusion": "fusion",
    "fig5_hyperparameters": "hyperparameters",
    "table6_backbones": "backbones",
    "03_fuse_and_refine": "backbones",
}
"""Tables of the paper by the notebooks that make them."""


@pytest.fixture(scope="module")
def folders(runs, tmp_path_factory):
    """What they wrote, by notebook."""
    paths = [str(run.folder) for run in runs]
    scenes = str(runs[0].folder.parent / "scenes")
    jobs = {}
    for name, table in OTHERS.items():
        networks = ["ACM"] if table == "backbones" else None
        rows = fk.table_trainings(table, backbones=networks)
        given = {
            row: [paths[(n + k) % 2] for k in range(len(scales))]
            for n, (row, scales) in enumerate(rows.items())
        }
        jobs[name] = fk.Job(name, {"runs": given, "dataset": scenes})
    options = {"options": {"epochs": 1}, "size": 64, "dataset": scenes}
    jobs["02_train"] = fk.Job("02_train", options)
    outcomes = fk.run_jobs(jobs.values(), tmp_path_factory.mktemp("jobs"), workers=2)
    assert [outcome.reason for outcome in outcomes] == [""] * len(jobs)
    return {name: outcome.folder for name, outcome in zip(jobs, outcomes, strict=True)}


class TestTables:
    """All others at once, as a batch run gives them the runs of trainings."""

    def read(self, folder):
        return json.loads((folder / "metrics.json").read_text())

    def test_every_one_ends_in_a_picture_or_a_table(self, folders):
        for name, folder in folders.items():
            book = nbformat.read(folder / f"{name}.ipynb", as_version=4)
            data = book.cells[-1].outputs[-1]["data"]
            assert "image/png" in data or "text/html" in data, name

    @pytest.mark.parametrize("name", ["table1_input_size", "table2_losses", "fig5_hyperparameters"])
    def test_rows_of_one_run(self, folders, runs, name):
        found = self.read(folders[name])
        table = OTHERS[name]
        assert found["table"] == table
        assert list(found["schemes"]) == fk.paper_table(table).index.tolist()
        for n, scheme in enumerate(found["schemes"].values()):
            agree(scheme, counted(runs[n % 2 : n % 2 + 1], 0.5, None))

    def test_fusion_takes_the_better_first(self, folders, runs):
        found = self.read(folders["table3_fusion"])
        alone = [counted([run], 0.5, None)["score"] for run in runs]
        schemes = list(found["schemes"].values())
        assert schemes[0]["score"] == pytest.approx(max(alone))
        assert found["sizes"][0] == (32, 64)[int(np.argmax(alone))]
        assert len(schemes) == 7

    def test_three_schemes_of_a_network(self, folders, runs):
        for name in ("table6_backbones", "03_fuse_and_refine"):
            schemes = self.read(folders[name])["schemes"]
            original, light, fest = (
                schemes[f"ACM, {scheme}, NUAA-SIRST"] for scheme in ("Original", "LW-FEST", "FEST")
            )
            agree(original, counted(runs[:1], 0.5, None))
            agree(light, counted(runs[1:], 0.5, 0.1))
            agree(fest, counted(runs, 0.5, 0.1, per_scale=True))

    def test_a_training(self, folders):
        found = self.read(folders["02_train"])
        run = fk.Run(folders["02_train"] / "run")
        assert (found["size"], found["epochs"], found["loss"]) == (64, 1, "EEDM")
        assert run.record["test"][0]["iou"] == found["schemes"]["th1 0.5"]["iou"]
        assert found["schemes"]["th1 0.5"]["images"] == 6
