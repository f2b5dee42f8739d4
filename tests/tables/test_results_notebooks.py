"""The notebooks of the paper's tables on two small runs: their figures are the library's."""

import html
import json
import warnings

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from smallbooks import shown_here

import festkit as fk
from festkit._support.files import write_json
from festkit.ops.components import find_components
from festkit.tables.compare import compare_files

pytestmark = pytest.mark.slow  # trains, measures or draws


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on the same scenes, which lie beside them, with maps of targets and false alarms."""
    folder = tmp_path_factory.mktemp("runs")
    images = fk.load_dataset(
        fk.make_synthetic_dataset(folder / "scenes", train=2, test=6, size=64), "test"
    )
    first = fk.tables.Training("ACM", 32, "EEDM", options={"epochs": 5})
    second = fk.tables.Training("ACM", 64, "EEDM", options={"epochs": 2}, start=first)
    return [made(folder, images, training, seed=3) for training in (first, second)]


def made(folder, images, training, *, seed=0):
    """A finished run of a training, with maps that see something else in every run."""
    run = fk.Run(folder / training.name)
    rng = np.random.default_rng(list(training.name.encode()))
    run.write_maps("test", {sample.name: seen(sample.mask, rng) for sample in images})
    record = {
        "backbone": training.backbone,
        "size": training.size,
        "loss": training.loss,
        "loss_options": dict(training.loss_options),
        "epochs": training.options["epochs"],
        "protocol": "last",
        "seed": seed,
        "initial_weights": training.start and f"{training.start.name}/weights.safetensors",
        "dataset": "scenes",
        "test_split": images.fingerprint,
    }
    write_json(run.folder / "record.json", record)
    return run


def seen(mask, rng):
    """A probability map that has every target and two other places at any height."""
    prob = np.zeros(mask.shape)
    for y, x in [*find_components(mask).centroid, *rng.uniform(4, 60, (2, 2))]:
        rows, columns = np.indices(mask.shape)
        bump = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / rng.uniform(1, 6))
        prob = np.maximum(prob, rng.uniform(0.06, 1) * bump)
    return prob.astype(np.float32)


def parameters(runs, out):
    scenes = runs[0].folder.parent / "scenes"
    fused = [str(run.folder) for run in runs]
    return {"runs": {"fused": fused}, "dataset": str(scenes), "out": str(out)}


def metrics_in(folder):
    return json.loads((folder / "metrics.json").read_text())


def executed(name, runs, out):
    """The metrics that a notebook writes, and what it shows."""
    shown = shown_here(name, parameters(runs, out))
    return metrics_in(out), shown


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
        metrics, shown = executed("table4_th1", runs[1:], tmp_path)
        assert list(metrics["schemes"]) == fk.paper_table("th1").index.tolist()
        for th1, (_, scheme) in zip(
            fk.paper_table("th1").th1, metrics["schemes"].items(), strict=True
        ):
            assert scheme["intervals"]["fa"]
            agree(scheme, counted(runs[1:], th1, None))
        assert (metrics["table"], metrics["sizes"]) == ("th1", "64")
        assert metrics["th1"] == fk.paper_table("th1").th1.to_dict()
        assert (metrics["profile"], metrics["seed"], metrics["protocol"]) == ("shipped", 3, "last")
        assert metrics["measured"] == (
            "ACM at 64 px, EEDM loss, on 6 test images of scenes; 2 epochs from "
            "another training's weights, seed 3; the last epoch was kept; another network and "
            "other images than the paper's, so not comparable"
        )
        assert html.escape(metrics["measured"]) in shown.data
        assert "not run" not in shown.data


class TestTh2:
    def test_both_rules_of_two_scales(self, runs, tmp_path):
        metrics, shown = executed("table5_th2", runs, tmp_path)
        paper, schemes = fk.paper_table("th2"), metrics["schemes"]
        assert metrics["rule"] == "per scale"
        assert metrics["th2"]["fused: th1 0.3, th2 0.1"] == 0.1
        for row, th2 in paper.th2.replace(np.nan, None).items():
            agree(schemes.pop(row), counted(runs, 0.3, th2, per_scale=True))
            if th2 is None or th2 < 0.3:
                agree(schemes.pop(f"fused: {row}"), counted(runs, 0.3, th2))
        assert schemes == {}
        assert shown.data.count("not run") == 4 * 3  # th2 of 0.5, 0.4 and 0.3 on the fused map
        table = compare_files([tmp_path], paper)
        assert (table.seeds == 1).all()
        assert table.attrs["caption"].endswith("; weak targets from each scale's own map")

    def test_one_run_has_one_rule(self, runs, tmp_path, capsys):
        metrics, _ = executed("table5_th2", runs[:1], tmp_path)
        assert metrics["rule"] == "fused"
        assert len(metrics["schemes"]) == 4
        assert "so that rule is skipped" in capsys.readouterr().out


class TestFigure7:
    def test_its_figures_and_picture(self, runs, tmp_path):
        metrics, shown = executed("fig7_sensitivity", runs, tmp_path)
        agree(metrics["schemes"]["th1 0.5"], counted(runs, 0.5, None))
        agree(metrics["schemes"]["th1 0.3"], counted(runs, 0.3, None))
        (best,) = [name for name in metrics["schemes"] if name.startswith("best on these images")]
        assert metrics["schemes"][best]["intervals"]["pd"]
        th1, th2 = (float(part.split()[-1]) for part in best.split(",")[1:])
        agree(metrics["schemes"][best], counted(runs, th1, th2, per_scale=True))
        assert isinstance(shown, Figure)
        assert metrics["epochs"] == "5+2"
        with Image.open(tmp_path / "fig7_sensitivity.png") as picture:
            assert min(picture.size) > 600
        surface = fk.surface.ThresholdSurface.load(tmp_path / "surface.npz")
        assert surface.at(0.3, 0.1).record() == pytest.approx(
            counted(runs, 0.3, 0.1, per_scale=True)
        )

    def test_a_threshold_off_the_grid_is_refused_before_anything_starts(self, tmp_path):
        given = {"th1": 0.333, "out": str(tmp_path / "work")}
        with pytest.raises(ValueError, match=r"th1 is 0\.333, expected one of 0\.05, 0\.06,"):
            shown_here("fig7_sensitivity", given)
        assert not (tmp_path / "work").exists()


OTHERS = {
    "table1_input_size": "input_size",
    "table2_losses": "losses",
    "table3_fusion": "fusion",
    "fig5_hyperparameters": "hyperparameters",
    "table6_backbones": "backbones",
    "03_fuse_and_refine": "backbones",
}
"""Tables of the paper by the notebooks that make them."""


def rows_of(table):
    """What a table trains, with one network where it compares networks."""
    return fk.tables.table_trainings(table, backbones=["ACM"] if table == "backbones" else None)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Made runs by table and row, as trainings would leave them, and their scenes."""
    folder = tmp_path_factory.mktemp("given")
    scenes = fk.make_synthetic_dataset(folder / "scenes", train=2, test=6, size=64)
    images = fk.load_dataset(scenes, "test")
    return {
        table: {
            row: [made(folder, images, each) for each in t] for row, t in rows_of(table).items()
        }
        for table in OTHERS.values()
    }, str(scenes)


@pytest.fixture(scope="module")
def asked(given):
    """What they are asked for, by notebook."""
    runs, scenes = given
    options = {"epochs": 1, "batch_size": 2, "protocol": "last"}
    return {"02_train": {"train_options": options, "size": 64, "dataset": scenes}} | {
        name: {
            "runs": {row: [str(run.folder) for run in scales] for row, scales in table.items()},
            "dataset": scenes,
        }
        for name, table in ((name, runs[table]) for name, table in OTHERS.items())
    }


@pytest.fixture(scope="module")
def written(asked, tmp_path_factory):
    """The folder of each, and what its last cell shows."""
    folder = tmp_path_factory.mktemp("written")
    found = {}
    for name, values in asked.items():
        shown = shown_here(name, values | {"out": str(folder / name)})
        found[name] = folder / name, shown
    return found


@pytest.fixture(scope="module")
def folders(written):
    return {name: folder for name, (folder, _) in written.items()}


class TestTables:
    """All others, as a batch run gives them the runs of trainings."""

    def test_every_one_ends_in_a_picture_or_a_table(self, written):
        for name, (_, shown) in written.items():
            assert isinstance(shown, Figure) or hasattr(shown, "_repr_html_"), name

    @pytest.mark.system
    def test_in_a_batch_each_has_a_kernel_and_a_page(self, asked, tmp_path, request):
        some = ["table1_input_size", "table6_backbones"]  # that ends in a picture, this in a table
        names = list(asked) if request.config.getoption("--slow") else some
        outcomes = fk.run_jobs([fk.Job(name, asked[name]) for name in names], tmp_path, workers=2)
        for name, outcome in zip(names, outcomes, strict=True):
            assert outcome.reason == ""
            book = nbformat.read(outcome.folder / f"{name}.ipynb", as_version=4)
            last = [cell for cell in book.cells if cell.cell_type == "code"][-1]
            data = last.outputs[-1]["data"]
            assert "image/png" in data or "text/html" in data, name
            page = html.unescape((outcome.folder / f"{name}.html").read_text(encoding="utf-8"))
            assert "jp-Notebook" in page, name
            assert metrics_in(outcome.folder).get("measured", "") in page, name

    def test_every_table_is_written_in_four_forms(self, folders):
        for name in OTHERS:
            table = html.unescape((folders[name] / "table.html").read_text(encoding="utf-8"))
            assert table.count("<table ") == 1, name
            assert metrics_in(folders[name])["measured"] in table, name
            names = {path.name for path in folders[name].iterdir()}
            assert {"table.csv", "table.md", "table.tex"} < names, name

    @pytest.mark.parametrize("name", ["table1_input_size", "table2_losses", "fig5_hyperparameters"])
    def test_rows_of_one_run(self, folders, given, name):
        found = metrics_in(folders[name])
        table = OTHERS[name]
        assert found["table"] == table
        assert list(found["schemes"]) == fk.paper_table(table).index.tolist()
        for row, scheme in found["schemes"].items():
            agree(scheme, counted(given[0][table][row], 0.5, None))
        assert found["th1"] == 0.5
        assert "; th1 0.5" in found["measured"]

    def test_sizes_of_every_row_and_how_long_they_were_trained(self, folders):
        found = metrics_in(folders["table1_input_size"])
        assert found["sizes"]["256"] == "64"
        assert found["sizes"]["1024"] == "256"
        (first,), (further,) = (rows_of("input_size")[row] for row in ("512", "1024"))
        epochs = first.options["epochs"], further.options["epochs"]
        assert (found["epochs"]["512"], found["epochs"]["1024"]) == epochs
        assert f"{epochs[0]} epochs anew at 128 px, {epochs[1]} epoch" in found["measured"]
        assert "from another training's weights at 64, 96, 160, 192," in found["measured"]
        table = pd.read_csv(folders["table1_input_size"] / "table.csv")
        assert table["our size"].tolist() == [64, 96, 128, 160, 192, 224, 256]

    def test_options_of_the_loss_of_every_row(self, folders):
        found = metrics_in(folders["fig5_hyperparameters"])
        assert found["loss_options"]["edge_weight 3"] == {"edge_weight": 3}
        assert found["loss_options"]["keep_ratio 0.5"] == {}

    def test_fusion_takes_the_better_first(self, folders, given):
        found = metrics_in(folders["table3_fusion"])
        runs = [run for scales in given[0]["fusion"].values() for run in scales]
        alone = {run.record["size"]: counted([run], 0.5, None)["score"] for run in runs}
        schemes = list(found["schemes"].values())
        assert schemes[0]["score"] == pytest.approx(max(alone.values()))
        assert found["order"][0] == max(alone, key=alone.get)
        assert found["measured"].endswith("; th1 0.5; these images chose the order")
        assert found["sizes"]["896+768"] == "+".join(map(str, found["order"][:2]))
        assert len(schemes) == len(found["order"]) == 7

    def test_three_schemes_of_a_network(self, folders, given):
        for name in ("table6_backbones", "03_fuse_and_refine"):
            found = metrics_in(folders[name])
            schemes = found["schemes"]
            thresholds = {"Original": (0.5, None), "LW-FEST": (0.5, 0.1), "FEST": (0.5, 0.1)}
            for scheme, pair in thresholds.items():
                row = f"ACM, {scheme}, NUAA-SIRST"
                agree(schemes[row], counted(given[0]["backbones"][row], *pair, per_scale=True))
            assert found["loss"] == dict(zip(schemes, ("BCE", "EEDM", "EEDM"), strict=True))
            assert (found["th1"], found["rule"]) == (0.5, "per scale")
            assert found["th2"] == dict(zip(schemes, (None, 0.1, 0.1), strict=True))
            words = "; th1 0.5, th2 0.1 or none, weak targets from each scale's own map"
            assert found["measured"].endswith(words)
            assert "other images than the paper's NUAA-SIRST, so not" in found["measured"]

    def test_a_training(self, folders):
        found = metrics_in(folders["02_train"])
        run = fk.Run(folders["02_train"] / "run")
        assert (found["sizes"], found["epochs"], found["loss"]) == ("64", 1, "EEDM")
        assert (found["protocol"], found["seed"], found["loss_options"]) == ("last", 0, {})
        assert run.record["ema_decay"] == 0.9  # the profile's, where nothing else is asked for
        assert found["minutes"] > 0
        assert run.record["test"][0]["iou"] == found["schemes"]["th1 0.5"]["iou"]
        assert found["schemes"]["th1 0.5"]["images"] == 6
