"""Ours beside the paper's, and what is printed of it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from festkit.metrics import Counts, confidence_intervals, record_of
from festkit.tables.compare import compare_files, compare_with_paper, pool_seeds
from festkit.tables.paper import paper_table
from festkit.tables.records import save_results
from festkit.tables.render import (
    readable_table,
    render_table,
    save_table,
    scheme_table,
    show_table,
    with_interval,
)

HIT = Counts(
    images=1, pixels=10**6, intersection=3, predicted=3, true=4, targets=1, detected=1,
    false_pixels=10, iou_sum=0.75,
)  # fmt: skip
MISS = Counts(images=1, pixels=10**6, predicted=2, true=2, targets=1, false_pixels=2)
LOUD = Counts(images=1, pixels=10**6, predicted=200, true=2, targets=1, false_pixels=200)
TH1 = paper_table("th1")


def record(iou=0.6, pd=0.8, fa=2e-5, **more):
    return {"iou": iou, "pd": pd, "fa": fa, "score": (iou + pd) / 2, **more}


class TestComparison:
    def test_ours_the_papers_and_the_difference(self):
        images = [HIT, MISS, HIT]
        row = compare_with_paper({"th1 0.3": images}, TH1, measured="sky").loc["th1 0.3"]
        # 6 of 8 + 0 of 4 pixels; 2 of 3 targets; 22 of 3 million pixels
        iou, pd_, fa = 100 * 6 / 12, 100 * 2 / 3, 22 / 3
        assert row[["iou", "pd", "fa_e6", "score"]].tolist() == pytest.approx(
            [iou, pd_, fa, (iou + pd_) / 2]
        )
        assert row.iou_paper == 64.22
        assert row[["iou_difference", "fa_e6_difference"]].tolist() == pytest.approx(
            [iou - 64.22, fa - 20.57]
        )
        low, high = confidence_intervals(images)["pd"]
        assert (row.pd_low, row.pd_high) == pytest.approx((100 * low, 100 * high))
        assert row.seeds == 1

    def test_mean_and_spread_over_seeds_and_the_interval_of_the_pooled_counts(self):
        one, other = [HIT, MISS, HIT], [HIT, HIT, HIT]
        seeds = [record_of(counts) | {"per_image": counts} for counts in (one, other)]
        row = compare_with_paper({"th1 0.3": seeds}, TH1, measured="sky").loc["th1 0.3"]
        assert row[["pd", "iou"]].tolist() == pytest.approx([100 * 5 / 6, 100 * (0.5 + 0.75) / 2])
        assert row.pd_sd == pytest.approx(100 * (1 / 3) / 2**0.5)
        assert row.seeds == 2
        mean = Counts(
            images=1, pixels=10**6, intersection=1.5, predicted=2.5, true=3, targets=1,
            detected=0.5, false_pixels=6, iou_sum=0.375,
        )  # fmt: skip
        pooled = confidence_intervals([HIT, mean, HIT])
        for name, scale in (("iou", 100), ("pd", 100), ("fa", 1e6), ("score", 100)):
            column = "fa_e6" if name == "fa" else name
            low, high = (scale * end for end in pooled[name])
            assert (row[f"{column}_low"], row[f"{column}_high"]) == pytest.approx((low, high))

    @pytest.mark.parametrize("images", [[HIT, HIT, MISS], [replace(HIT, false_pixels=0)] * 50])
    def test_the_same_seed_again_is_no_new_image(self, images):
        one = confidence_intervals(images)
        for seeds in (3, 10):
            again = confidence_intervals(pool_seeds([images] * seeds))
            for name, ends in one.items():
                assert again[name] == pytest.approx(ends)
            gain = confidence_intervals(pool_seeds([images] * seeds), baseline=images)
            for name, ends in confidence_intervals(images, baseline=images).items():
                assert gain[name] == pytest.approx(ends)

    def test_seeds_whose_images_are_not_known_have_no_interval(self):
        seeds = [record(iou=iou, intervals={"iou": (0.5, 0.7)}) for iou in (0.6, 0.7)]
        row = compare_with_paper({"th1 0.3": seeds}, TH1, measured="sky").loc["th1 0.3"]
        assert (row.iou, row.iou_sd) == pytest.approx((65, 100 * 0.1 / 2**0.5))
        assert np.isnan([row.iou_low, row.iou_high]).all()

    def test_one_seed_has_no_spread_and_its_own_interval(self):
        one = record(intervals={"iou": [0.5, 0.7], "pd": None})
        row = compare_with_paper({"th1 0.3": [one]}, TH1, measured="sky").loc["th1 0.3"]
        assert (row.iou_low, row.iou_high) == pytest.approx((50, 70))
        assert np.isnan([row.iou_sd, row.pd_low]).all()

    def test_a_record_without_intervals_shows_its_ratio_alone(self):
        assert with_interval({"pd": 0.5, "intervals": None}, "pd") == "50.00"

    def test_seeds_of_different_images_are_not_pooled(self):
        larger = replace(HIT, pixels=2 * HIT.pixels)
        seeds = [record_of(c) | {"per_image": c} for c in ([HIT, HIT], [HIT, larger])]
        with pytest.raises(ValueError, match="seeds of a row were evaluated on different images"):
            compare_with_paper({"th1 0.3": seeds}, TH1, measured="sky")

    def test_what_has_not_been_run(self):
        table = compare_with_paper({}, TH1, measured="nothing")
        assert (table.seeds == 0).all()
        assert table[["iou", "iou_low", "iou_difference"]].isna().all(axis=None)
        assert table.iou_paper.tolist() == TH1.iou.tolist()

    def test_a_score_is_void_from_the_limit_on(self):
        table = compare_with_paper({"th1 0.3": [HIT, LOUD]}, TH1, measured="sky")
        row = table.loc["th1 0.3"]
        assert row.fa_e6 == pytest.approx(105)
        assert row[["score", "score_low", "score_high", "score_difference"]].isna().all()
        edge = compare_with_paper({"th1 0.3": [record(fa=1e-4)]}, TH1, measured="sky")
        assert np.isnan(edge.loc["th1 0.3"].score)

    def test_a_seed_whose_score_is_void_makes_the_mean_void(self):
        ends = {"intervals": {"score": (0.6, 0.8), "iou": (0.5, 0.7)}}
        seeds = [record(fa=1.2e-4, **ends), record(fa=2e-5, **ends)]  # their mean is 7e-5
        row = compare_with_paper({"th1 0.3": seeds}, TH1, measured="sky").loc["th1 0.3"]
        assert row.fa_e6 == pytest.approx(70)
        assert row[["score", "score_low", "score_high", "score_difference"]].isna().all()
        assert (row.iou, row.iou_sd) == pytest.approx((60, 0))
        unknown = compare_with_paper({"th1 0.3": [record(fa=None)]}, TH1, measured="sky")
        assert np.isnan(unknown.loc["th1 0.3"].score)

    def test_the_caption_says_what_was_measured(self):
        table = compare_with_paper({}, TH1, measured="ACM on sky")
        assert table.attrs["caption"] == f"{TH1.attrs['caption']}. Ours: ACM on sky"
        assert TH1.attrs["caption"] == paper_table("th1").attrs["caption"]

    def test_one_image_has_no_intervals(self):
        row = compare_with_paper({"th1 0.3": [HIT]}, TH1, measured="sky").loc["th1 0.3"]
        assert row.pd == 100
        assert np.isnan([row.pd_low, row.pd_high]).all()

    def test_some_rows_of_a_table(self):
        nudt = paper_table("backbones").query("dataset == 'NUDT-SIRST'")
        table = compare_with_paper({"acm, fest, nudt-sirst": [HIT, HIT]}, nudt, measured="sky")
        assert len(table) == 24
        assert table.loc["ACM, FEST, NUDT-SIRST"].seeds == 1

    @pytest.mark.parametrize(
        ("ours", "error", "message"),
        [
            ({"th1 0.31": [HIT]}, ValueError, "unknown row of the table 'th1 0.31'; choose from"),
            ({"th1 0.3": []}, ValueError, "'th1 0.3' has metrics of no seed; .*leave out rows"),
            ({"th1 0.3": [[HIT, HIT]]}, ValueError, "metrics of list; pass the Counts of every im"),
            ({"th1 0.3": [HIT, {}]}, ValueError, "metrics of Counts, dict; pass"),
        ],
    )
    def test_wrong_figures(self, ours, error, message):
        with pytest.raises(error, match=message):
            compare_with_paper(ours, TH1, measured="sky")


class TestFiles:
    def test_every_file_is_a_seed(self, tmp_path):
        first = save_results(tmp_path / "a", {"th1 0.3": [HIT, MISS]}, measured="sky")
        save_results(tmp_path / "b", {"th1 0.3": [HIT, HIT], "other": HIT}, measured="sky")
        table = compare_files([first, tmp_path / "b"], TH1)
        seeds = [[HIT, MISS], [HIT, HIT]]
        both = {"th1 0.3": [record_of(counts) | {"per_image": counts} for counts in seeds]}
        pd.testing.assert_frame_equal(table, compare_with_paper(both, TH1, measured="sky"))
        assert table.attrs["caption"].endswith("Ours: sky")

    @pytest.mark.parametrize(
        "name",
        ["fingerprint", "split", "backbone", "profile", "rule", "sizes", "epochs", "protocol"],
    )
    def test_seeds_that_differ_in_more_are_refused(self, tmp_path, name):
        one = save_results(tmp_path / "a", {"th1 0.3": [HIT, MISS]}, **{name: "one"})
        two = save_results(tmp_path / "b", {"th1 0.3": [HIT, HIT]}, **{name: "two"})
        message = rf"share the row 'th1 0.3' but differ in its {name} \(one, two\); pass"
        with pytest.raises(ValueError, match=message):
            compare_files([one, two], TH1)
        silent = save_results(tmp_path / "c", {"th1 0.3": [HIT, HIT]})
        assert compare_files([one, silent], TH1).loc["th1 0.3"].seeds == 2
        apart = save_results(tmp_path / "d", {"th1 0.5": [HIT, HIT]}, **{name: "two"})
        assert compare_files([one, apart], TH1).seeds.sum() == 2

    def test_a_list_does_not_say_what_a_row_is_of(self, tmp_path):
        one = save_results(tmp_path / "a", {"th1 0.3": HIT}, backbone="ACM")
        two = save_results(tmp_path / "b", {"th1 0.3": HIT}, backbone=["ACM", "ALCNet"])
        assert compare_files([one, two], TH1).loc["th1 0.3"].seeds == 2

    def test_what_differs_is_looked_for_row_by_row(self, tmp_path):
        rows = {"th1 0.3": HIT, "th1 0.5": HIT}
        epochs = {"th1 0.3": 8, "th1 0.5": 3}
        one = save_results(tmp_path / "a", rows, epochs=epochs)
        same = save_results(tmp_path / "b", {"th1 0.5": HIT}, epochs=3)
        assert compare_files([one, same], TH1).loc["th1 0.5"].seeds == 2
        other = save_results(tmp_path / "c", rows, epochs=8)
        with pytest.raises(ValueError, match=r"row 'th1 0.5' but differ in its epochs \(3, 8\)"):
            compare_files([one, other], TH1)

    @pytest.mark.parametrize("seed", [{"seed": 0}, {"seeds": [0, 1]}])
    def test_a_seed_counts_once(self, tmp_path, seed):
        one = save_results(tmp_path / "a", {"th1 0.3": HIT}, **seed)
        two = save_results(tmp_path / "b", {"th1 0.3": HIT}, **seed)
        with pytest.raises(ValueError, match=r"a/metrics.json and \S+b/metrics.json share the row"):
            compare_files([one, two], TH1)
        with pytest.raises(
            ValueError, match=r"a/metrics.json and \S+a share the row .*pass only one"
        ):
            compare_files([one, tmp_path / "a"], TH1)
        apart = save_results(tmp_path / "c", {"th1 0.5": HIT}, **seed)
        assert compare_files([one, apart], TH1).seeds.sum() == 2

    def test_our_sizes_where_rows_differ_in_them(self, tmp_path):
        paper = paper_table("input_size")
        sizes = {"256": "64", "384": "96"}
        one = save_results(tmp_path / "a", dict.fromkeys(sizes, HIT), sizes=sizes)
        table = compare_files([one], paper)
        assert table.columns[:2].tolist() == ["scheme", "our size"]
        assert table["our size"].tolist() == ["64", "96", *"–––––"]
        texts = [
            save_results(tmp_path / row, {row: HIT}, sizes=size) for row, size in sizes.items()
        ]
        assert compare_files(texts, paper)["our size"].equals(table["our size"])
        assert "our size" not in compare_files(texts[:1], paper)

    def test_every_seed_fuses_in_its_own_order(self, tmp_path):
        orders = [{"896": "96", "896+768": "96+64"}, {"896": "96", "896+768": "96+128"}]
        paths = [
            save_results(
                tmp_path / str(seed),
                dict.fromkeys(sizes, HIT),
                sizes=sizes,
                epochs=sizes,
                seed=seed,
            )
            for seed, sizes in enumerate(orders)
        ]
        table = compare_files(paths, paper_table("fusion"))
        assert table["our size"].tolist()[:3] == ["96", "96+64 or 96+128", "–"]
        assert table.seeds.tolist()[:3] == [2, 2, 0]

    @pytest.mark.parametrize(
        ("run", "words"),
        [
            ({"rule": "per scale"}, "sky; weak targets from each scale's own map"),
            ({"rule": "fused"}, "sky; weak targets from the fused map"),
            ({"th1": 0.5}, "sky"),
        ],
    )
    def test_the_caption_says_what_no_column_does(self, tmp_path, run, words):
        path = save_results(tmp_path, {"th1 0.3": HIT}, measured="sky", **run)
        caption = compare_files([path], paper_table("th2")).attrs["caption"]
        assert caption.endswith(f"Ours: {words}")

    def test_thresholds_of_a_table_that_has_none(self, tmp_path):
        th2 = {"ACM, Original, NUAA-SIRST": None, "ACM, FEST, NUAA-SIRST": 0.1}
        path = save_results(tmp_path, dict.fromkeys(th2, HIT), measured="sky", th1=0.5, th2=th2)
        caption = compare_files([path], paper_table("backbones")).attrs["caption"]
        assert caption.endswith("Ours: sky; th1 0.5, th2 0.1 or none")
        said = save_results(tmp_path, {"ACM, FEST, NUAA-SIRST": HIT}, th1=0.5, measured="th1 0.5")
        caption = compare_files([said], paper_table("backbones")).attrs["caption"]
        assert caption.endswith("Ours: th1 0.5")

    def test_a_file_without_a_row_of_the_table(self, tmp_path):
        path = save_results(tmp_path, {"FEST": HIT})
        with pytest.raises(
            ValueError, match=r"has no row of the table th1; it has FEST, the table"
        ):
            compare_files([path], TH1)

    @pytest.mark.parametrize("text", ["[]", "{}", '{"schemes": [1]}', '{"schemes": {"a": 1}}', "{"])
    def test_another_file(self, tmp_path, text):
        (tmp_path / "metrics.json").write_text(text)
        with pytest.raises(ValueError, match=r"metrics\.json (contains no metrics|is not re)"):
            compare_files([tmp_path], TH1)


COMPARED = compare_with_paper({"th1 0.3": [HIT, HIT], "th1 0.05": [HIT, LOUD]}, TH1, measured="a_b")


class TestReadable:
    def test_the_papers_table_as_the_paper_prints_it(self):
        strings = readable_table(paper_table("th2"))
        assert strings.columns.tolist() == [
            "th1", "th2", "IoU [%]", "Pd [%]", "Fa [10⁻⁶]", "Score [%]"
        ]  # fmt: skip
        assert strings.iloc[0].tolist() == ["0.3", "–", "64.22", "80.29", "20.57", "72.26"]
        assert strings.iloc[-1].tolist() == ["0.3", "0.05", "59.44", "91.05", "33.05", "75.25"]

    def test_ours_with_intervals_and_what_has_not_been_run(self):
        def ours(name):
            value, low, high = COMPARED.loc["th1 0.3", [name, f"{name}_low", f"{name}_high"]]
            assert low < value < high
            return f"{value:.2f} [{low:.2f}, {high:.2f}]"

        strings = readable_table(COMPARED)
        assert strings["IoU [%]"].loc["th1 0.3"].tolist() == [
            ours("iou"),
            "64.22",
            "+10.78",
        ]
        assert strings["Fa [10⁻⁶]"].loc["th1 0.3"].tolist() == [
            ours("fa_e6"),
            "20.57",
            "−10.57",
        ]
        assert strings["Score [%]"].loc["th1 0.05"].tolist() == ["–", "–", "–"]
        assert strings["IoU [%]"].loc["th1 0.5"].tolist() == ["not run", "64.49", "–"]
        assert strings["", "seeds"].tolist() == [*"––––", "1", *"––––", "1"]

    def test_seeds_are_shown_with_their_spread(self):
        seeds = [record_of(c) | {"per_image": c} for c in ([HIT, MISS], [HIT, HIT])]
        table = compare_with_paper({"th1 0.3": seeds}, TH1, measured="two seeds")
        low, high = table.loc["th1 0.3", ["pd_low", "pd_high"]]
        cell = readable_table(table)["Pd [%]", "ours"].loc["th1 0.3"]
        assert cell == f"75.00 ± 35.36 [{low:.2f}, {high:.2f}]"
        assert r"75.00 $\pm$ 35.36" in render_table(table, "latex")

    def test_a_difference_too_small_to_print_has_one_sign(self):
        near = TH1.loc["th1 0.3", "iou"] / 100
        for iou in (near - 2e-5, near + 2e-5):
            table = compare_with_paper({"th1 0.3": [record(iou=iou)]}, TH1, measured="one")
            assert readable_table(table)["IoU [%]", "diff."].loc["th1 0.3"] == "+0.00"

    def test_ours_alone_where_the_paper_has_no_figure(self):
        hit = Counts(images=1, pixels=10**6, intersection=3, predicted=3, true=4)
        ours = {"keep_ratio 0.5": [hit, hit]}
        table = compare_with_paper(ours, paper_table("hyperparameters"), measured="two images")
        strings = readable_table(table)
        heads = [head for head, below in strings.columns if below == "ours"]
        assert heads == ["IoU [%]", "Pd [%]", "Fa [10⁻⁶]", "Score [%]"]
        assert strings.columns.size == 2 + 4 + 1
        cell = strings["IoU [%]", "ours"].loc["keep_ratio 0.5"]
        assert cell.startswith("75.00 [")
        for style in ("text", "markdown", "latex"):
            assert cell in render_table(table, style)
        assert cell in (text for row in Cells(render_table(table, "html")).rows for text in row)

    def test_a_column_in_front(self):
        both = COMPARED.copy()
        both.insert(0, "weak targets", "fused")
        assert readable_table(both)["", "weak targets"].tolist() == ["fused"] * 10


class Cells(HTMLParser):
    """The cells of a page by row, and everything that it fetches."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.links, self.inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.inside = True
            self.rows[-1].append("")
        elif tag == "br" and self.inside:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


class TestPrinting:
    def test_markdown_holds_every_cell(self):
        lines = render_table(COMPARED, "markdown").splitlines()
        assert lines[0].startswith("**Table 4.** Strong threshold")
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
        assert {len(row) for row in cells} == {14}
        assert set(cells[1]) == {":--", "--:"}
        assert cells[2:] == readable_table(COMPARED).to_numpy().tolist()

    def test_latex_is_balanced_and_escaped(self):
        text = render_table(COMPARED, "latex")
        assert text.count("{") == text.count("}")
        assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
            ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"),
        ]  # fmt: skip
        assert text.isascii()
        assert "Ours: a\\_b}" in text
        columns = re.search(r"\{tabular\}\{(\w+)\}", text)[1]
        body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
        assert len(body) == 10
        assert {line.count("&") + 1 for line in body} == {len(columns)} == {14}
        upper = text.split("\\toprule\n")[1].splitlines()[0]
        spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d+)\}", upper)]
        assert spans == [3] * 4
        assert sum(spans) + upper.count("&") + 1 - len(spans) == 14
        assert "\\cmidrule(lr){2-4}\\cmidrule(lr){5-7}" in text

    @pytest.mark.parametrize("style", ["markdown", "latex", "html", "text"])
    @pytest.mark.parametrize("name", ["losses", "backbones", "hyperparameters"])
    def test_every_table_in_every_style(self, name, style):
        text = render_table(paper_table(name), style)
        assert text.endswith("\n")
        assert "nan" not in text.lower()

    @pytest.mark.parametrize("table", [COMPARED, TH1], ids=["compared", "paper"])
    def test_html_holds_every_cell_and_fetches_nothing(self, table):
        page = Cells(render_table(table, "html"))
        strings = readable_table(table)
        assert page.rows[-10:] == strings.to_numpy().tolist()
        assert page.rows[-11] == [c[-1] if isinstance(c, tuple) else c for c in strings.columns]
        assert page.links == []

    def test_html_escapes(self):
        table = compare_with_paper({}, TH1, measured="<b> & co")
        assert "Ours: &lt;b&gt; &amp; co" in render_table(table, "html")

    def test_in_a_notebook_keys_that_all_rows_share_are_left_out(self):
        table = paper_table("th2")
        shown = Cells(show_table(table).data).rows
        whole = Cells(render_table(table, "html")).rows
        assert whole[-1][0] == "0.3"
        assert [row[0] for row in whole[-7:]] == ["0.3"] * 7
        assert shown[-7:] == [row[1:] for row in whole[-7:]]
        assert show_table(table.head(1)).data == render_table(table.head(1), "html")

    def test_an_unknown_style(self):
        with pytest.raises(ValueError, match=r"unknown style 'htm'; .*Did you mean 'html'"):
            render_table(TH1, "htm")

    def test_files(self, tmp_path):
        paths = save_table(tmp_path / "new", COMPARED, "th1")
        assert [path.name for path in paths] == ["th1.csv", "th1.md", "th1.tex", "th1.html"]
        read = pd.read_csv(paths[0])
        np.testing.assert_allclose(read.iou_paper, TH1.iou)
        np.testing.assert_allclose(read.iou, COMPARED.iou)
        assert paths[2].read_text(encoding="utf-8") == render_table(COMPARED, "latex")


class TestSchemes:
    ROWS = paper_table("backbones").query("dataset == 'NUAA-SIRST'")

    def test_ours_above_the_papers_for_what_was_run(self):
        ours = {"ALCNet, FEST, NUAA-SIRST": [HIT, HIT], "ACM, Original, NUAA-SIRST": [LOUD, HIT]}
        grid = scheme_table(compare_with_paper(ours, self.ROWS, measured="two images"))
        assert list(grid.index) == [
            ("ACM", "ours"), ("ACM", "paper"), ("ALCNet", "ours"), ("ALCNet", "paper"),
        ]  # fmt: skip
        assert list(grid.columns.unique(0)) == ["IoU [%]", "Pd [%]", "Fa [10⁻⁶]", "Score [%]"]
        assert list(grid["IoU [%]"].columns) == ["Original", "LW-FEST", "FEST"]
        assert grid.loc[("ACM", "paper"), "IoU [%]"].tolist() == ["62.24", "71.28", "73.57"]
        assert grid.loc[("ACM", "paper"), "Score [%]"].tolist() == ["–", "84.12", "85.65"]
        assert grid.loc[("ALCNet", "ours"), "IoU [%]"].tolist() == ["not run", "not run", "75.00"]
        # 3 of 205 pixels; 210 false of 2e6, so the Score is void
        assert grid.loc[("ACM", "ours")].str[:6].tolist()[::3] == ["1.46", "50.00", "105.00", "–"]

    def test_a_network_once_per_scheme(self):
        hit = {"ACM, FEST, NUAA-SIRST": [HIT, HIT]}
        every = compare_with_paper(hit, paper_table("backbones"), measured="two images")
        with pytest.raises(ValueError, match="'ACM, Original, NUDT-SIRST' is of a network and"):
            scheme_table(every)
