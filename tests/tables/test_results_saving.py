"""What is told of runs, and which runs a row of a table takes: on records made by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from handmade import make_set

import festkit as fk
from festkit._support.files import write_json
from festkit.data.dataset import Dataset
from festkit.tables.compare import compare_files

RECORD = {
    "backbone": "ACM", "size": 64, "loss": "EEDM", "loss_options": {}, "epochs": 8, "seed": 0,
    "protocol": "last", "initial_weights": None, "dataset": "hand",
}  # fmt: skip
SKY = Dataset("sky", "test", ())


def maps_of(*records, images=SKY, split="test"):
    records = [RECORD | record for record in records]
    sizes = tuple(record["size"] for record in records)
    return fk.training.RunMaps("", sizes, images, (), tuple(records), split)


def told(maps, table="th1", profile="smoke"):
    return fk.tables.describe_runs(maps, fk.paper_table(table), profile=profile)


class TestWhatIsTold:
    def test_scales_that_continue_and_what_chose(self):
        further = {"initial_weights": "a/weights.safetensors", "epochs": 1}
        found = told(maps_of({}, {"size": 96} | further, {"size": 32} | further))
        assert found["measured"] == (
            "ACM at 64+96+32 px, EEDM loss, on 0 test images of sky; profile smoke, 8 epochs anew "
            "at 64 px, 1 epoch from another training's weights at 32, 96 px, seed 0; the last "
            "epoch was kept; another network and other images than the paper's, so not comparable"
        )
        assert found["sizes"] == "64+96+32"
        assert (found["epochs"], found["loss"], found["protocol"]) == ("8+1+1", "EEDM", "last")

    @pytest.mark.parametrize(
        ("protocol", "words"),
        [
            ("paper", "; the test images chose the epoch;"),
            ("holdout", "; held-out training images chose the epoch;"),
            ("last", "; the last epoch was kept;"),
        ],
    )
    def test_the_protocol_in_words(self, protocol, words):
        found = told(maps_of({"protocol": protocol}))
        assert words in found["measured"]
        assert found["protocol"] == protocol

    def test_what_can_be_compared_has_no_reservation(self):
        own = replace(SKY, name="W-IRSTD")
        record = {"backbone": "MSDA-Net"}
        assert "comparable" not in told(maps_of(record, images=own))["measured"]
        for maps, words in (
            (maps_of({}, images=own), "; another network than the paper's, so not comparable"),
            (maps_of(record), "; other images than the paper's, so not comparable"),
            (maps_of(record, images=own, split="holdout"), "; other images than the paper's, so"),
        ):
            assert words in told(maps)["measured"]

    def test_networks_are_compared_on_their_own_images(self):
        paper = fk.paper_table("backbones").query("dataset == 'NUDT-SIRST'")
        rows = {"ACM, FEST, NUDT-SIRST": maps_of({}, images=replace(SKY, name="NUDT-SIRST"))}
        assert "compar" not in fk.tables.describe_runs(rows, paper, profile="paper")["measured"]
        rows = {"ACM, FEST, NUDT-SIRST": maps_of({})}
        measured = fk.tables.describe_runs(rows, paper, profile="paper")["measured"]
        assert measured.endswith("; other images than the paper's NUDT-SIRST, so not comparable")

    def test_where_rows_differ_it_is_told_by_row(self):
        rows = {
            "a": maps_of({"loss": "BCE", "seed": 1}),
            "b": maps_of({"backbone": "ALCNet", "epochs": 3}, {"size": 96}),
        }
        found = told(rows)
        assert found["sizes"] == {"a": "64", "b": "64+96"}
        assert found["loss"] == {"a": "BCE", "b": "EEDM"}
        assert found["epochs"] == {"a": 8, "b": "3+8"}
        assert found["backbone"] == {"a": "ACM", "b": "ALCNet+ACM"}
        assert found["loss_options"] == {}
        assert found["seeds"] == [1, 0]
        assert "seed" not in found
        assert found["measured"].startswith("ACM, ALCNet at 64, 96 px, on 0 test images of sky; ")
        assert "3 to 8 epochs, seeds 1, 0;" in found["measured"]

    def test_options_of_the_loss_by_row(self):
        options = {"a": {"edge_weight": 3.0}, "b": {}}
        rows = {row: maps_of({"loss_options": own}) for row, own in options.items()}
        assert told(rows)["loss_options"] == options
        assert told(rows["a"])["loss_options"] == {"edge_weight": 3.0}

    def test_nothing(self):
        with pytest.raises(ValueError, match="no maps given"):
            told({})


@pytest.fixture
def hand(tmp_path):
    """The hand-made set, and a maker of runs on it, whose maps are the truth."""
    images = fk.load_dataset(make_set(tmp_path / "hand"), "test")

    def run(name, **record):
        made = fk.Run(tmp_path / name)
        made.write_maps("test", {s.name: s.mask.astype(np.float32) for s in images})
        record = RECORD | record | {"test_split": images.fingerprint}
        write_json(made.folder / "record.json", record)
        return made

    return run


class TestRows:
    def test_every_row_opened(self, hand):
        runs = {"BCE": [hand("a", loss="BCE")], "eedm": [hand("b")]}
        maps = fk.tables.open_rows("table2_losses", runs)
        assert list(maps) == ["BCE", "EEDM"]
        assert maps["BCE"].records[0]["loss"] == "BCE"
        assert maps["EEDM"].title == "ACM 64 on hand, test images"

    def test_fused_maps_and_schemes(self, hand):
        scales = [hand("a"), hand("b", size=96)]
        assert fk.tables.open_rows("th2", {"fused": scales})["fused"].sizes == (64, 96)
        rows = {
            "ACM, FEST, NUAA-SIRST": scales,
            "ACM, Original, NUAA-SIRST": [hand("c", loss="BCE")],
        }
        assert len(fk.tables.open_rows("backbones", rows)) == 2

    def test_options_of_the_loss(self, hand):
        runs = {
            "edge_weight 4": [hand("a")],
            "keep_ratio 0.5": [hand("b", loss_options={"edge_weight": 4})],
        }
        assert len(fk.tables.open_rows("fig5", runs)) == 2
        with pytest.raises(
            ValueError, match=r"row 'keep_ratio 0.3' .* the loss_options \{'edge_we"
        ):
            fk.tables.open_rows("fig5", {"keep_ratio 0.3": [hand("a")]})

    @pytest.mark.parametrize(
        ("table", "rows", "message"),
        [
            ("losses", {"BCE": [{}]}, "row 'BCE' of losses got a run with the loss 'EEDM', exp"),
            ("losses", {"EEDM": [{}, {"size": 96}]}, "takes one run, got 2"),
            ("losses", {"BCE": [{"loss": "BCE"}], "EEDM": [{"backbone": "ALCNet"}]},
             r"the rows of losses got runs of different network \(ACM, ALCNet\)"),
            ("input_size", {"256": [{}], "384": [{"size": 96}], "512": [{}]},
             "input_size got runs of the sizes 64, 96, 64; every run needs a different size"),
            ("th1", {"fused": [{}, {}]}, "the row 'fused' of th1 got runs of the sizes 64, 64"),
            ("th1", {"896": [{}]}, "unknown row of the table th1 '896'; choose from fused"),
            ("backbones", {"ALCNet, LW-FEST, NUAA-SIRST": [{}]}, "the backbone 'ACM', expected 'A"),
            ("backbones", {"ACM, Original, NUAA-SIRST": [{}]}, "the loss 'EEDM', expected 'BCE'"),
            ("backbones", {"ACM, FEST, NUAA-SIRST": [{}, {"size": 96, "loss": "BCE"}]},
             "the loss 'BCE', expected 'EEDM'"),
            ("losses", {"BCE": [{"loss": "BCE"}], "EEDM": [{"size": 96}]},
             r"different size \(64, 96\); pass runs of the same size"),
            ("fig5", {"edge_weight 4": [{}], "keep_ratio 0.5": [{"size": 96}]},
             r"the rows of hyperparameters got runs of different size \(64, 96\)"),
            ("losses", {"EEDM": [{"loss_options": {"edge_weight": 3}}]},
             r"the loss_options \{'edge_weight': 3, 'keep_ratio': 0.5\}, expected \{'edge_w"),
            ("backbones", {"ACM, FEST, NUAA-SIRST": [{}]},
             "the row 'ACM, FEST, NUAA-SIRST' of backbones takes several runs, .*got 1"),
            ("backbones", {"ACM, Original, NUAA-SIRST": [{"loss": "BCE"}],
                           "ACM, LW-FEST, NUAA-SIRST": [{"size": 96}]},
             r"Original and LW-FEST of ACM in backbones got runs of different size \(64,"),
            ("fusion", {}, "no runs given for the table fusion; its rows are 256, 384"),
        ],
    )  # fmt: skip
    def test_runs_that_are_not_what_the_row_says(self, hand, table, rows, message):
        runs = {
            row: [hand(f"{row}-{k}", **record) for k, record in enumerate(records)]
            for row, records in rows.items()
        }
        with pytest.raises(ValueError, match=message):
            fk.tables.open_rows(table, runs)

    @pytest.mark.parametrize("table", fk.tables.TABLES)
    def test_what_a_table_plans_passes(self, hand, table):
        backbones = ["ACM", "UIU-Net"] if table == "backbones" else None
        rows = fk.tables.table_trainings(table, "paper", backbones=backbones)
        runs = {row: [self.trained(hand, each) for each in scales] for row, scales in rows.items()}
        assert list(fk.tables.open_rows(table, runs)) == list(rows)

    def trained(self, hand, training):
        names = ("backbone", "size", "loss", "loss_options")
        return hand(training.name, **{name: getattr(training, name) for name in names})


class TestFiles:
    def test_the_table_and_what_it_was_measured_on(self, hand, tmp_path):
        rows = {"256": [hand("a", seed=2)], "384": [hand("b", size=96, seed=2)]}
        maps = fk.tables.open_rows("input_size", rows)
        ours = {row: each.evaluate(0.5) for row, each in maps.items()}
        paper = fk.paper_table("input_size")
        table = fk.tables.save_paper_results(
            tmp_path / "out", paper, ours, maps, profile="quick", more=1
        )
        assert table["our size"].tolist() == ["64", "96", *"–––––"]
        assert table.loc["256", "iou"] == 100
        saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert saved["measured"] in table.attrs["caption"]
        assert (saved["table"], saved["profile"], saved["seed"]) == ("input_size", "quick", 2)
        assert (saved["dataset"], saved["split"], saved["more"]) == ("hand", "test", 1)
        assert saved["fingerprint"] == maps["256"].dataset.fingerprint
        assert saved["sizes"] == {"256": "64", "384": "96"}
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert names == {
            "metrics.json", "table.txt", "table.csv", "table.md", "table.tex", "table.html",
        }  # fmt: skip
        assert pd.read_csv(tmp_path / "out" / "table.csv")["our size"].tolist()[:2] == ["64", "96"]

    def test_thresholds_are_written_and_told(self, hand, tmp_path):
        rows = {"256": [hand("a")], "384": [hand("b", size=96)]}
        maps = fk.tables.open_rows("input_size", rows)
        ours = {row: each.evaluate(0.5) for row, each in maps.items()}
        paper = fk.paper_table("input_size")
        table = fk.tables.save_paper_results(
            tmp_path, paper, ours, maps, profile="quick", note="so", th1=0.5, rule="per scale"
        )
        saved = json.loads((tmp_path / "metrics.json").read_text())
        assert (saved["th1"], saved["rule"]) == (0.5, "per scale")
        words = "; th1 0.5, weak targets from each scale's own map; so"
        assert saved["measured"].endswith(words)
        assert table.attrs["caption"].endswith(words)
        assert compare_files([tmp_path], paper).attrs["caption"] == table.attrs["caption"]
        pd.testing.assert_frame_equal(compare_files([tmp_path], paper), table)

    def test_what_a_column_says_the_caption_does_not(self, hand, tmp_path):
        maps, paper = (
            fk.tables.open_rows("th2", {"fused": [hand("a")]})["fused"],
            fk.paper_table("th2"),
        )
        paper.insert(0, "weak targets", "fused")
        ours = {"th1 0.3": maps.evaluate(0.3)}
        ours["th1 0.3, th2 0.1"] = maps.evaluate(0.3, 0.1)
        table = fk.tables.save_paper_results(
            tmp_path, paper, ours, maps, profile="quick", rule="fused"
        )
        assert table.attrs["caption"].endswith("so not comparable")
        saved = json.loads((tmp_path / "metrics.json").read_text())
        assert saved["th1"] == {"th1 0.3": 0.3, "th1 0.3, th2 0.1": 0.3}
        assert saved["th2"] == {"th1 0.3": None, "th1 0.3, th2 0.1": 0.1}

    def test_sizes_that_are_the_same_need_no_column(self, hand, tmp_path):
        maps = fk.tables.open_rows("th1", {"fused": [hand("a"), hand("b", size=96)]})["fused"]
        ours, paper = {"th1 0.5": maps.evaluate(0.5)}, fk.paper_table("th1")
        table = fk.tables.save_paper_results(
            tmp_path / "out", paper, ours, maps, profile="smoke", note="th1 alone", table="another"
        )
        assert table.attrs["caption"].endswith("not comparable; th1 alone")
        assert "our size" not in table
        assert json.loads((tmp_path / "out" / "metrics.json").read_text())["table"] == "another"
