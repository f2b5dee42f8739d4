"""The paper's tables against what its running text says of them."""

import numpy as np
import pandas as pd
import pytest

from festkit.tables.paper import COLUMNS, key_columns, list_paper_tables, paper_table

SIZE_CLASSES = {
    "input_size": 7, "losses": 6, "fusion": 7, "th1": 10, "th2": 7, "backbones": 72,
    "hyperparameters": 10,
}  # fmt: skip


def gain(name, before, after):
    """Relative gain in percent of IoU, Pd and Score from one row to another."""
    table = paper_table(name)[["iou", "pd", "score"]]
    return (100 * (table.loc[after] / table.loc[before] - 1)).round(2).tolist()


class TestTables:
    @pytest.mark.parametrize(("name", "rows"), SIZE_CLASSES.items())
    def test_every_table_is_whole_and_says_what_it_is(self, name, rows):
        table = paper_table(name)
        assert len(table) == rows
        assert table.index.is_unique
        assert list(table.columns[-4:]) == list(COLUMNS)
        assert all(table[column].dtype == float for column in COLUMNS)
        assert table.attrs["name"] == name
        assert table.attrs["caption"]
        assert "2407.20090" in table.attrs["source"]

    def test_they_are_listed_in_the_papers_order(self):
        assert list_paper_tables() == list(SIZE_CLASSES)

    def test_a_table_goes_by_its_number_too(self):
        for number, name in enumerate(list(SIZE_CLASSES)[:6], start=1):
            for given in (number, str(number)):
                pd.testing.assert_frame_equal(paper_table(given), paper_table(name))
            assert paper_table(name).attrs["label"] == f"Table {number}"

    @pytest.mark.parametrize(
        ("given", "name"),
        [("table4_th1", "th1"), ("table4", "th1"), ("fig5", "hyperparameters")],
    )
    def test_a_table_goes_by_its_notebook_too(self, given, name):
        assert paper_table(given).attrs["name"] == name

    def test_what_a_row_is(self):
        assert key_columns(paper_table("th2")) == ["th1", "th2"]
        assert key_columns(paper_table("backbones")) == ["backbone", "scheme", "dataset"]
        assert paper_table("th2").index[:2].tolist() == ["th1 0.3", "th1 0.3, th2 0.5"]
        assert paper_table("backbones").index[2] == "ACM, Original, IRSTD-1K"
        assert paper_table("hyperparameters").index[-1] == "keep_ratio 0.9"

    def test_a_changed_table_changes_no_other(self):
        changed = paper_table("th1")
        changed.loc["th1 0.3", "iou"] = 0
        changed.attrs["caption"] = ""
        assert paper_table("th1").loc["th1 0.3", "iou"] == 64.22
        assert paper_table("th1").attrs["caption"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("input-sise", "choose from input_size, losses, .*Did you mean 'input_size'"),
            (0, "unknown table '0'; choose from"),
            (7, "unknown table '7'"),
            ("", "unknown table"),
            ("sensitivity", r"no numbers for sensitivity .*pass th1 or th2"),
            ("fig7", "no numbers for sensitivity"),
        ],
    )
    def test_an_unknown_table(self, name, message):
        with pytest.raises(ValueError, match=message):
            paper_table(name)


class TestNumbers:
    """Gains that the text states, section by section."""

    def test_input_size(self):
        assert gain("input_size", "256", "1024") == [37.35, 56.25, 47.29]

    def test_losses(self):
        assert gain("losses", "BCE", "EE") == [1.48, 1.87, 1.67]
        assert gain("losses", "BCE", "DM") == [1.23, 5.22, 3.29]  # the text: 5.2 and 3.19
        unknown = paper_table("losses").loc[["SoftIoU", "Dice", "EEDM"], list(COLUMNS)]
        assert unknown.isna().all(axis=None)

    def test_fusion(self):
        assert gain("fusion", "896", "896+768+1024") == [4.20, 0.88, 2.42]

    def test_th1(self):
        assert gain("th1", "th1 0.5", "th1 0.3")[1:] == [10.62, 5.43]
        assert paper_table("th1").score.idxmax() == "th1 0.3"

    def test_th2(self):
        assert gain("th2", "th1 0.3", "th1 0.3, th2 0.1")[2] == 4.76
        assert paper_table("th2").score.idxmax() == "th1 0.3, th2 0.1"

    @pytest.mark.parametrize(
        ("dataset", "ends"), [("NUDT-SIRST", [0.48, 6.34]), ("IRSTD-1K", [1.66, 5.56])]
    )
    def test_backbones(self, dataset, ends):
        table = paper_table("backbones").set_index(["dataset", "backbone", "scheme"])
        score = table.loc[dataset].score.unstack()
        gains = (100 * (score["FEST"] / score["Original"] - 1)).round(2)
        assert [gains.min(), gains.max()] == ends

    def test_tables_agree_where_they_share_a_row(self):
        shared = [
            paper_table(name)[list(COLUMNS)] for name in ("input_size", "fusion", "th1", "th2")
        ]
        sizes, fused, th1, th2 = shared
        assert sizes.loc["896"].equals(fused.loc["896"])
        assert fused.loc["896+768+1024"].tolist() == th1.loc["th1 0.5"].tolist()
        assert th1.loc["th1 0.3"].tolist() == th2.loc["th1 0.3"].tolist()


class TestCheck:
    @pytest.mark.parametrize("name", SIZE_CLASSES)
    def test_every_score_is_the_mean_of_iou_and_pd(self, name):
        table = paper_table(name)
        given = table.dropna(subset=["iou", "pd", "score"])
        assert len(given) == {"losses": 3, "hyperparameters": 0, "th1": 9, "backbones": 71}.get(
            name, len(table)
        )
        assert np.abs(given.score - (given.iou + given["pd"]) / 2).max() < 0.011 or given.empty

    @pytest.mark.parametrize("name", SIZE_CLASSES)
    def test_units_and_void_scores(self, name):
        table = paper_table(name)
        percent = table[["iou", "pd", "score"]]
        assert ((percent >= 1) & (percent <= 100) | percent.isna()).all(axis=None)
        assert ((table.fa_e6 >= 0.01) | table.fa_e6.isna()).all()
        assert table.score[table.fa_e6 >= 100].isna().all()
