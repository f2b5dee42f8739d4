import json

import numpy as np
import pytest

from festkit._support.files import read_json, write_json
from festkit.metrics import Counts
from festkit.tables.records import counts_of_images, read_results, save_results, summary_table

GOOD = Counts(
    images=1, pixels=1_000_000, intersection=300, predicted=350, true=350, iou_sum=0.75,
    targets=8, detected=6, false_pixels=12,
)  # fmt: skip
LOUD = Counts(
    images=1, pixels=10_000, intersection=5, predicted=7, true=8, iou_sum=0.5, targets=1,
    detected=1, false_pixels=1,
)  # fmt: skip
EMPTY = Counts(images=1, pixels=100, iou_sum=0.0)


class TestTable:
    def test_percent_with_two_decimals_and_fa_in_millionths(self):
        table = summary_table({"FEST": GOOD})
        assert table.columns.tolist() == ["IoU", "nIoU", "Pd", "Fa ×10⁻⁶", "Score"]
        assert table.loc["FEST"].tolist() == ["75.00", "75.00", "75.00", "12.00", "75.00"]

    def test_a_score_counts_only_below_the_false_alarm_limit(self):
        # one false pixel of 10 000 is Fa 1e-4, which is not below 1e-4
        assert summary_table({"x": LOUD}).loc["x"].tolist() == [
            "50.00", "50.00", "100.00", "100.00", "–",
        ]  # fmt: skip

    def test_undefined_ratios_are_dashes(self):
        row = summary_table({"x": EMPTY}).loc["x"].tolist()
        assert row == ["–", "0.00", "–", "0.00", "–"]
        assert summary_table({"x": Counts()}).loc["x"].tolist() == ["–"] * 5

    def test_schemes_keep_their_order(self):
        rows = {"Original": LOUD, "LW-FEST": GOOD, "FEST": GOOD}
        assert summary_table(rows).index.tolist() == list(rows)

    def test_no_scheme_is_an_empty_table(self):
        assert summary_table({}).empty


class TestSaving:
    def test_the_file_holds_counts_ratios_and_the_run(self, tmp_path):
        path = save_results(tmp_path / "new", {"FEST": GOOD, "x": EMPTY}, dataset="sky", sizes=[1])
        written = json.loads(path.read_text())
        assert (written["dataset"], written["sizes"]) == ("sky", [1])
        fest = written["schemes"]["FEST"]
        assert (fest["iou"], fest["pd"], fest["fa"], fest["score"]) == (0.75, 0.75, 1.2e-5, 0.75)
        assert fest["valid"] is True
        assert written["schemes"]["x"]["pd"] is None
        assert Counts(**{name: fest[name] for name in vars(GOOD)}) == GOOD

    def test_the_table_lies_beside_it(self, tmp_path):
        rows = {"Original": LOUD, "FEST": GOOD}
        save_results(tmp_path, rows)
        text = (tmp_path / "table.txt").read_text(encoding="utf-8")
        assert text == summary_table(rows).to_string() + "\n"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "table.txt"]

    @pytest.mark.parametrize(
        ("run", "error"), [({"when": np.zeros(2)}, TypeError), ({"x": float("nan")}, ValueError)]
    )
    def test_what_is_no_json_leaves_no_file(self, tmp_path, run, error):
        with pytest.raises(error, match="JSON"):
            save_results(tmp_path, {"FEST": GOOD}, **run)
        assert list(tmp_path.iterdir()) == []

    def test_a_scheme_without_images(self, tmp_path):
        with pytest.raises(ValueError, match="FEST has no images; evaluate it on a data"):
            save_results(tmp_path, {"Original": GOOD, "FEST": Counts()})
        assert list(tmp_path.iterdir()) == []

    def test_images_one_by_one_give_intervals(self, tmp_path):
        images = [GOOD, LOUD, GOOD]
        path = save_results(tmp_path, {"FEST": images, "x": GOOD})
        schemes = read_results(path)["schemes"]
        total = (GOOD + LOUD + GOOD).record()
        assert {name: schemes["FEST"][name] for name in total} == total
        low, high = schemes["FEST"]["intervals"]["pd"]
        assert low < total["pd"] < high
        assert "intervals" not in schemes["x"]
        assert counts_of_images(read_results(path), "FEST") == images
        assert counts_of_images(read_results(path), "x") is None
        assert read_results(tmp_path) == read_results(path)

    @pytest.mark.parametrize("damage", [{"iou": "high"}, {"pd": [1]}, {"intervals": 3}])
    def test_damaged_figures_are_named(self, tmp_path, damage):
        path = save_results(tmp_path, {"FEST": [GOOD, GOOD]})
        values = read_json(path)
        values["schemes"]["FEST"] |= damage
        write_json(path, values)
        with pytest.raises(ValueError, match=r"metrics\.json contains no metrics by scheme"):
            read_results(path)

    def test_damaged_counts_of_images_are_named(self, tmp_path):
        run = read_results(save_results(tmp_path, {"FEST": [GOOD, GOOD]}))
        for damage in ("1", "1 x", None):
            run["per_image"]["FEST"]["targets"] = damage
            with pytest.raises(ValueError, match="counts of the images of FEST are damaged"):
                counts_of_images(run, "FEST")

    def test_no_image_at_all(self, tmp_path):
        with pytest.raises(ValueError, match="FEST has no images"):
            save_results(tmp_path, {"FEST": []})
