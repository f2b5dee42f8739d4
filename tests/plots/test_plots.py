import io
import warnings
from typing import ClassVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

mpl.use("Agg")

import matplotlib.pyplot as plt
from handmade import scene

from festkit._support.files import write_json
from festkit.data.dataset import Sample
from festkit.data.statistics import IMAGE_COLUMNS, TARGET_COLUMNS, TargetStatistics
from festkit.metrics import Counts
from festkit.plots import (
    FALSE,
    MISSED,
    STRONG,
    TRUTH,
    WEAK,
    plot_compared,
    plot_detections,
    plot_history,
    plot_roc,
    plot_samples,
    plot_sensitivity,
    plot_surface,
    plot_targets,
    save_figure,
    show,
    show_strips,
)
from festkit.sensitivity import adjust_sensitivity
from festkit.surface import roc, threshold_surface
from festkit.tables.compare import compare_with_paper
from festkit.tables.paper import paper_table
from festkit.training.run import Run


@pytest.fixture(autouse=True)
def nothing_stays_open():
    assert not plt.get_fignums()
    yield
    assert not plt.get_fignums()


def draw(figure):
    """Render it as a file would be, so that layout and text are really made."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), dpi=50)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def detection(*places, shape=(48, 64), size=2, **thresholds):
    prob = np.zeros(shape, np.float32)
    for y, x, p in places:
        prob[y : y + size, x : x + size] = p
    return adjust_sensitivity(prob, **thresholds)


NAN = float("nan")
IMAGE, MASK = scene(1)  # two targets


class TestShow:
    def test_the_truth_alone(self):
        figure = show(IMAGE, None, MASK)
        draw(figure)
        assert titles(figure) == ["2 true targets", "1  target", "2  target"]

    def test_an_image_alone(self):
        figure = show(IMAGE, None)
        draw(figure)
        assert titles(figure) == [""]

    def test_no_target_and_no_truth(self):
        figure = show(IMAGE, detection())
        draw(figure)
        assert titles(figure) == ["0 targets (th1 0.5, th2 0.1)"]

    def test_no_target_beside_an_empty_truth(self):
        figure = show(IMAGE, detection(), np.zeros_like(MASK))
        draw(figure)
        assert titles(figure) == ["0 of 0 found, 0 false px, IoU – (th1 0.5, th2 0.1)"]

    def test_found_missed_and_false(self):
        mask = np.zeros((48, 64), bool)
        mask[10:12, 10:12] = mask[30:32, 50:52] = True
        found = detection((10, 10, 0.9), (40, 5, 0.8), th2=None)
        figure = show(np.zeros((48, 64), np.uint8), found, mask)
        draw(figure)
        assert titles(figure) == [
            "1 of 2 found, 4 false px, IoU 33.3 % (th1 0.5)",
            "1  missed", "2  found", "3  false alarm",
        ]  # fmt: skip
        assert not figure.axes[0].lines  # all are enlarged, none is ringed
        frames = [rectangle.get_edgecolor() for rectangle in figure.axes[0].patches]
        assert frames == [to_rgba(colour) for colour in (MISSED, TRUTH, FALSE)]

    def test_every_inset_holds_its_target(self):
        mask = np.zeros((48, 64), bool)
        corners = [(0, 0), (0, 62), (46, 0), (46, 62), (24, 32)]
        for y, x in corners:
            mask[y : y + 2, x : x + 2] = True
        figure = show(np.zeros((48, 64), np.uint8), None, mask)
        seen = set()
        for axes in figure.axes[1:]:
            (x0, x1), (y1, y0) = axes.get_xlim(), axes.get_ylim()
            assert (x1 - x0, y1 - y0) == (32, 32)
            assert x0 >= -0.5
            assert y0 >= -0.5
            assert x1 <= 63.5
            assert y1 <= 47.5
            seen |= {(y, x) for y, x in corners if x0 < x < x1 and y0 < y < y1}
        assert seen == set(corners)

    def test_at_most_six_insets_missed_first(self):
        mask = np.zeros((96, 128), bool)
        mask[8:90:20, 8:120:20] = True  # 5 x 6 single pixels
        prob = np.where(mask, 0.9, 0).astype(np.float32)
        prob[88, 108] = 0
        figure = show(np.zeros((96, 128), np.uint8), adjust_sensitivity(prob), mask)
        draw(figure)
        first, second = titles(figure)[0].splitlines()
        assert first.startswith("29 of 30 found")
        assert second == "14 of 30 enlarged, missed first"
        assert titles(figure)[1:] == [
            "1  missed, found", "2  4 found", *(f"{n}  2 found" for n in range(3, 7))
        ]  # fmt: skip

    def test_weak_targets_are_crosses_and_strong_ones_filled(self):
        found = detection((10, 10, 0.9), (30, 40, 0.3))
        figure = show(np.zeros((48, 64), np.uint8), found)
        main = figure.axes[0]
        (crosses,) = main.lines
        assert (crosses.get_xdata().tolist(), crosses.get_ydata().tolist()) == ([40], [30])
        assert (crosses.get_marker(), crosses.get_color()) == ("x", WEAK)
        assert not crosses.get_clip_on()
        fill = main.images[1].get_array()
        np.testing.assert_array_equal(fill[..., 3] > 0, found.strong)
        np.testing.assert_allclose(fill[10, 10], to_rgba(STRONG, 0.5))

    def test_the_outline_runs_along_the_pixel_edges(self):
        mask = np.zeros((48, 64), bool)
        mask[10, 20:22] = True
        figure = show(np.zeros((48, 64), np.uint8), None, mask)
        ends = set()
        for line in outlines(figure.axes[0]):
            ends.add(tuple(sorted(map(tuple, np.round(line, 3).tolist()))))
        assert ends == {
            ((19.5, 9.5), (20.5, 9.5)), ((20.5, 9.5), (21.5, 9.5)),
            ((19.5, 10.5), (20.5, 10.5)), ((20.5, 10.5), (21.5, 10.5)),
            ((19.5, 9.5), (19.5, 10.5)), ((21.5, 9.5), (21.5, 10.5)),
        }  # fmt: skip

    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 200), (200, 3), (7, 5)])
    def test_small_and_narrow_images(self, shape):
        image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        found = detection((0, 0, 0.9), shape=shape, size=1)
        figure = show(image, found, found.mask)
        draw(figure)
        assert titles(figure)[1:] == ["1  found"]

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_a_flat_image_is_drawn_at_its_level(self, level):
        figure = show(np.full((8, 8), level, np.uint8), None)
        draw(figure)
        picture = figure.axes[0].images[0]
        assert picture.cmap(picture.norm(level))[:3] == pytest.approx((level / 255,) * 3)
        assert not figure.legends  # it would be empty

    def test_without_truth_the_strong_come_first_by_their_peak(self):
        found = detection((4, 4, 0.6), (4, 50, 0.2), (40, 50, 0.97), (40, 4, 0.3))
        figure = show(np.zeros((48, 64), np.uint8), found)
        draw(figure)
        assert titles(figure) == [
            "4 targets (th1 0.5, th2 0.1)", "1  strong 0.97", "2  strong 0.60", "3  weak 0.30",
            "4  weak 0.20",
        ]  # fmt: skip
        frames = [patch.get_edgecolor() for patch in figure.axes[0].patches]
        assert frames == [to_rgba(colour) for colour in (STRONG, STRONG, WEAK, WEAK)]

    def test_strong_targets_without_inset_are_ringed(self):
        peaks = {(20 + 40 * k, 20): 0.6 + 0.03 * k for k in range(8)} | {(20, 60): 0.3}
        places = [(y, x, peak) for (y, x), peak in peaks.items()]
        found = detection(*places, shape=(340, 90), size=1)
        figure = show(np.zeros((340, 90), np.uint8), found)
        draw(figure)
        main, *insets = figure.axes
        assert " ".join(titles(figure)[0].split()) == (
            "9 targets (th1 0.5, th2 0.1) 6 of 9 enlarged, highest peaks first"
        )
        crosses, rings = main.lines
        assert crosses.get_xydata().tolist() == [[60, 20]]
        assert rings.get_xydata().tolist() == [[20, 60], [20, 20]]
        assert (rings.get_marker(), rings.get_color()) == ("o", STRONG)
        assert not rings.get_clip_on()
        assert len(insets) == len(main.patches) == 6
        named = [text.get_text() for text in figure.legends[0].get_texts()]
        assert named == ["strong region", "weak target", "strong", "strong, not enlarged"]

    def test_rings_tell_found_and_false_targets_apart(self):
        prob = np.zeros((40, 400), np.float32)
        prob[20, 20::40] = 0.9
        mask = prob > 0
        mask[20, 300:] = False
        figure = show(np.zeros((40, 400), np.uint8), adjust_sensitivity(prob), mask)
        rings = {line.get_color(): line.get_xdata().tolist() for line in figure.axes[0].lines}
        assert rings == {TRUTH: [260], FALSE: [300, 340, 380]}

    def test_close_targets_share_an_inset(self):
        found = detection((20, 20, 0.3), (28, 26, 0.25), (4, 50, 0.9), (10, 55, 0.2), (4, 58, 0.7))
        figure = show(np.zeros((48, 64), np.uint8), found)
        draw(figure)
        assert titles(figure)[1:] == ["1  strong 0.90 and 2 more", "2  weak 0.30, weak 0.25"]
        assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2"]
        (crosses,) = figure.axes[2].lines
        assert crosses.get_xydata().tolist() == [[20, 20], [26, 28]]

    def test_a_target_cut_by_a_window_has_an_inset_of_its_own(self):
        figure = show(np.zeros((48, 64), np.uint8), detection((20, 20, 0.9), (20, 36, 0.8)))
        assert titles(figure)[1:] == ["1  strong 0.90", "2  strong 0.80"]

    def test_insets_outline_strong_regions_in_dashes_above_the_truth(self):
        found = detection((10, 10, 0.9))
        inset = show(np.zeros((48, 64), np.uint8), found).axes[1]
        assert len(inset.images) == 1  # no fill hides the target
        (line,) = inset.collections
        assert to_rgba(STRONG) == tuple(line.get_colors()[0])
        assert edge_lengths(line) == {1.0}
        truth, dashes = show(np.zeros((48, 64), np.uint8), found, found.mask).axes[1].collections
        assert to_rgba(TRUTH) == tuple(truth.get_colors()[0])
        assert (edge_lengths(truth), edge_lengths(dashes)) == ({1.0}, {0.5})
        assert dashes.get_zorder() >= truth.get_zorder()

    def test_marks_at_the_border_are_not_cut(self):
        found = detection((0, 0, 0.9), (47, 63, 0.3), size=1)
        figure = show(np.zeros((48, 64), np.uint8), found, found.mask)
        for axes in figure.axes:
            marks = [*axes.lines, *axes.collections, *axes.patches]
            assert marks
            assert not any(mark.get_clip_on() for mark in marks)

    def test_an_inset_marks_only_what_lies_in_it(self):
        found = detection((8, 8, 0.9), (40, 50, 0.3))
        mask = found.mask.copy()
        mask[20:30, 20:60] = True  # reaches beyond the first inset
        inset = show(np.zeros((48, 64), np.uint8), found, mask).axes[2]
        (x0, x1), (y1, y0) = inset.get_xlim(), inset.get_ylim()
        assert not inset.lines
        ends = np.concatenate(outlines(inset))
        assert (ends >= (x0, y0)).all()
        assert (ends <= (x1, y1)).all()

    @pytest.mark.parametrize("shape", [(48, 64), (300, 300), (1024, 1280), (40, 300), (20, 31)])
    def test_labels_stay_inside_the_image(self, shape):
        height, width = shape
        corners = [(0, 0), (0, width - 1), (height - 1, 0), (height // 2, width // 2)]
        found = detection(*((y, x, 0.9) for y, x in corners), shape=shape, size=1)
        figure = show(np.zeros(shape, np.uint8), found)
        draw(figure)
        main = figure.axes[0]
        inside = main.get_window_extent()
        assert main.texts
        for label in main.texts:
            extent = label.get_window_extent()
            assert inside.y0 <= extent.y0 < extent.y1 <= inside.y1
            assert inside.x0 <= extent.x0 < extent.x1 <= inside.x1

    @pytest.mark.parametrize("shape", [(300, 120), (300, 300), (1024, 1280), (40, 300)])
    def test_the_title_stays_in_the_figure_and_off_the_insets(self, shape):
        prob = np.zeros(shape, np.float32)
        prob[8::40, 8::40] = 0.9
        figure = show(np.zeros(shape, np.uint8), adjust_sensitivity(prob), prob > 0)
        draw(figure)
        main, first, *_ = figure.axes
        title = main._left_title.get_window_extent()
        assert title.y1 <= figure.bbox.y1
        assert title.x1 <= first.get_window_extent().x0
        assert title.y0 >= main.get_window_extent().y1

    def test_a_target_as_large_as_the_image(self):
        mask = np.ones((20, 30), bool)
        draw(show(np.zeros((20, 30), np.uint8), None, mask))

    def test_the_legend_names_what_is_drawn(self):
        texts = [text.get_text() for text in show(IMAGE, None, MASK).legends[0].get_texts()]
        assert texts == ["true outline", "target"]
        texts = [t.get_text() for t in show(IMAGE, detection(), MASK).legends[0].get_texts()]
        assert texts == ["strong region", "weak target", "true outline", "missed"]

    @pytest.mark.parametrize(
        ("image", "found", "mask"),
        [
            (np.zeros((48, 64), np.uint8), detection(shape=(40, 64)), None),
            (np.zeros((48, 64), np.uint8), None, np.zeros((64, 48), bool)),
            (np.zeros((48, 64, 3), np.uint8), None, None),
            (np.zeros((2, 48, 64), np.uint8), None, np.zeros((2, 48, 64), bool)),
        ],
    )
    def test_wrong_shapes_are_refused(self, image, found, mask):
        with pytest.raises(ValueError, match=r"must share one shape \(H, W\), got \["):
            show(image, found, mask)


def edge_lengths(collection):
    """Lengths of the pieces of an outline [px]."""
    pieces = np.array(collection.get_segments())
    return set(np.linalg.norm(pieces[:, 1] - pieces[:, 0], axis=1).tolist())


def outlines(axes):
    """End points of all outline pieces, drawn as lines or as one collection of them."""
    pieces = [np.column_stack(line.get_data()) for line in axes.lines]
    for collection in axes.collections:
        pieces += collection.get_segments()
    return pieces


class TestDetections:
    MASK = np.zeros((48, 64), bool)
    MASK[10:12, 10:12] = MASK[40:42, 50:52] = True
    SAMPLE = Sample(np.zeros((48, 64), np.uint8), MASK, "sky")

    def test_every_method_in_its_column_marked_by_what_became_of_targets(self):
        before = detection((10, 10, 0.9), (5, 40, 0.8), th2=None)
        after = detection((10, 10, 0.9), (40, 50, 0.3))
        figure = plot_detections([self.SAMPLE], {"Original": [before], "FEST": [after]})
        draw(figure)
        pictures = figure.axes[::3]  # every picture has two places below it
        assert [axes.get_title() for axes in pictures] == [
            "image", "truth\n2 targets", "Original\n1 of 2, 1 false alarm",
            "FEST\n2 of 2, no false alarm",
        ]  # fmt: skip
        assert pictures[0].get_ylabel() == "sky"
        marks = [
            {(line.get_marker(), *line.get_xydata()[0].tolist()) for line in axes.lines}
            for axes in pictures
        ]
        assert marks == [
            set(),
            {("o", 10.5, 10.5), ("o", 50.5, 40.5)},
            {("s", 50.5, 40.5), ("o", 10.5, 10.5), ("D", 40.5, 5.5)},
            {("o", 10.5, 10.5), ("o", 50.5, 40.5)},
        ]
        named = [text.get_text() for text in figure.legends[0].get_texts()]
        assert named == [
            "strong region", "weak target", "true outline", "missed", "found", "false alarm"
        ]  # fmt: skip

    def test_the_same_places_are_enlarged_missed_ones_first(self):
        methods = {"a": [detection((10, 10, 0.9))], "b": [detection((5, 40, 0.8))]}
        figure = plot_detections([self.SAMPLE], methods)
        for first, second in zip(figure.axes[1::3], figure.axes[2::3], strict=True):
            assert holds(first, 40.5, 50.5)  # both methods miss it
            assert holds(second, 10.5, 10.5)
        frames = [patch.get_xy() for patch in figure.axes[0].patches]
        assert frames == [(axes.get_xlim()[0], axes.get_ylim()[1]) for axes in figure.axes[1:3]]

    def test_images_of_several_sizes_and_nothing_to_enlarge(self):
        empty = Sample(np.full((9, 200), 7, np.uint8), np.zeros((9, 200), bool), "flat")
        found = [detection((10, 10, 0.9)), detection(shape=(9, 200))]
        figure = plot_detections([self.SAMPLE, empty], {"FEST": found})
        draw(figure)
        assert figure.axes[-1].get_title() == "0 of 0, no false alarm"

    def test_what_does_not_belong_together(self):
        with pytest.raises(ValueError, match="got 0 images and 1 columns"):
            plot_detections([], {"FEST": []})
        with pytest.raises(ValueError, match="got 1 images and 0 columns"):
            plot_detections([self.SAMPLE], {})
        with pytest.raises(ValueError, match="'FEST' has 2 entries for 1 images"):
            plot_detections([self.SAMPLE], {"FEST": [detection(), detection()]})


def holds(axes, y, x):
    (x0, x1), (y1, y0) = axes.get_xlim(), axes.get_ylim()
    return x0 < x < x1 and y0 < y < y1


class TestHistory:
    @pytest.mark.parametrize(
        ("protocol", "images"), [("holdout", "held-out images"), ("paper", "test images")]
    )
    def test_curves_of_a_run(self, tmp_path, protocol, images):
        run = Run(tmp_path)
        write_json(tmp_path / "config.json", {"protocol": protocol})
        row = {"epoch": 1, "loss": 0.5, "train_iou": 0.0, "iou": NAN, "pd": NAN, "fa": NAN}
        judged = {"iou": 0.25, "pd": 0.5, "fa": 1e-5}
        run.write_history(
            [
                row,
                row | {"epoch": 2, "loss": 0.1, "train_iou": 0.4} | judged,
                row | {"epoch": 3, "loss": 0.1, "train_iou": 0.4},
                row | {"epoch": 4, "loss": 0.0, "train_iou": 0.5} | judged | {"iou": 0.75},
            ]
        )
        figure = plot_history(run)
        draw(figure)
        loss, iou, detected = figure.axes
        assert loss.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.1], [3, 0.1], [4, 0.0]]
        batches, held_out = (line.get_xydata().tolist() for line in iou.lines)
        assert batches == [[1, 0], [2, 40], [3, 40], [4, 50]]
        assert held_out == [[2, 25], [4, 75]]
        assert detected.lines[0].get_xydata().tolist() == [[2, 50], [4, 50]]
        named = [text.get_text() for text in iou.get_legend().get_texts()]
        assert named == ["training batches", images]
        assert {axes.get_xlabel() for axes in figure.axes} == {"epoch"}
        assert [axes.get_ylabel() for axes in figure.axes] == ["training loss", "IoU [%]", "Pd [%]"]

    def test_a_run_of_one_epoch(self, tmp_path):
        run = Run(tmp_path)
        run.write_history([{"epoch": 1, "loss": 0.5, "train_iou": 0.1, "iou": NAN, "pd": NAN}])
        figure = plot_history(run.folder)
        draw(figure)
        assert [len(axes.lines) for axes in figure.axes] == [1, 1]  # it was not validated

    @pytest.mark.parametrize("epochs", [1, 2, 3, 7])
    def test_ticks_are_whole_epochs(self, tmp_path, epochs):
        run = Run(tmp_path)
        row = {"loss": 0.5, "train_iou": 0.1, "iou": NAN, "pd": NAN}
        run.write_history([{"epoch": epoch} | row for epoch in range(1, epochs + 1)])
        for axes in plot_history(run).axes:
            ticks = axes.get_xticks()
            assert len(ticks)
            np.testing.assert_array_equal(ticks, np.round(ticks))

    def test_judged_by_unknown_images(self, tmp_path):
        run = Run(tmp_path)
        run.write_history([{"epoch": 1, "loss": 0.5, "train_iou": 0.1, "iou": 0.2, "pd": 0.3}])
        with pytest.raises(FileNotFoundError, match=r"config\.json"):
            plot_history(run)


def blob_surface(count=9):
    prob = np.zeros((48, 64), np.float32)
    for y, x, peak in ((8, 8, 0.9), (24, 40, 0.35), (40, 12, 0.6)):
        prob[y : y + 3, x : x + 3] = 0.2
        prob[y + 1, x + 1] = peak
    truth = np.zeros(prob.shape, bool)
    truth[8:11, 8:11] = truth[24:27, 40:43] = True
    grid = np.linspace(0.1, 0.9, count)
    return threshold_surface([prob], [truth], grid, grid), prob, truth


class TestSurface:
    @pytest.mark.parametrize(
        ("value", "label"),
        [("score", "Score [%]"), ("IoU", "IoU [%]"), ("nIoU", "nIoU [%]"), ("Pd", "Pd [%]")],
    )
    def test_shows_the_value_with_th1_to_the_right_and_th2_upwards(self, value, label):
        surface, *_ = blob_surface()
        figure = plot_surface(surface, value)
        draw(figure)
        mesh = figure.axes[0].collections[0]
        expected = 100 * getattr(surface, value.lower()).T
        expected[surface.th2[:, None] > surface.th1] = np.nan
        np.testing.assert_allclose(mesh.get_array().filled(np.nan), expected)
        assert figure.axes[1].get_ylabel() == label

    def test_the_cross_marks_the_best_point_under_the_limit(self):
        surface, *_ = blob_surface()
        best = surface.best(max_fa=1e-3)
        figure = plot_surface(surface, max_fa=1e-3)
        draw(figure)
        marker = next(line for line in figure.axes[0].lines if line.get_marker() == "P")
        assert (marker.get_xdata()[0], marker.get_ydata()[0]) == best[:2]
        assert f"best Score {100 * best.counts.score:.2f}" in marker.get_label()

    def test_a_surface_without_valid_point_or_without_targets(self):
        surface, prob, _ = blob_surface()
        draw(plot_surface(surface, max_fa=1e-12))
        grid = [0.1, 0.5]
        draw(plot_surface(threshold_surface([prob], [prob > 2], grid, grid), "fa"))

    def test_a_surface_without_false_alarms(self):
        prob = np.zeros((8, 8), np.float32)
        prob[2, 2], prob[6, 6] = 0.9, 0.3
        surface = threshold_surface([prob], [prob > 0.2], [0.1, 0.5], [0.1, 0.5])
        assert surface.fa.max() == 0
        draw(plot_surface(surface, "fa"))

    def test_weak_targets_of_scales_are_shown_above_the_diagonal(self):
        surface, prob, truth = blob_surface()
        scale = np.roll(prob, 20, axis=1)  # its blobs lie elsewhere
        grid = surface.th1
        surface = threshold_surface([prob], [truth], grid, grid, scale_maps=[[scale]])
        upper = grid[:, None] > grid
        for ordered, hidden in ((False, 0 * upper), (True, upper)):
            figure = plot_surface(surface, ordered=ordered)
            draw(figure)
            mask = np.ma.getmaskarray(figure.axes[0].collections[0].get_array())
            np.testing.assert_array_equal(mask, hidden)

    def test_a_grid_above_the_diagonal_alone_is_shown(self):
        _, prob, truth = blob_surface()
        surface = threshold_surface([prob], [truth], [0.1, 0.2], [0.5, 0.6])
        figure = plot_surface(surface, "fa", ordered=True)
        draw(figure)
        assert figure.axes[0].collections[0].get_array().count() == 4

    def test_the_limit_is_a_dark_line_in_a_light_casing(self):
        surface, *_ = blob_surface()
        figure = plot_surface(surface, max_fa=1e-3)
        draw(figure)
        line = figure.axes[0].collections[1]
        assert to_rgba("black") == tuple(line.get_edgecolor()[0])
        assert line.get_path_effects()
        ends = np.concatenate([path.vertices for path in line.get_paths()])
        assert (ends[:, 1] <= ends[:, 0] + 1e-9).all()

    def test_no_false_alarm_has_the_lowest_colour(self):
        surface, *_ = blob_surface()
        mesh = plot_surface(surface, "fa").axes[0].collections[0]
        shown, lower = mesh.get_array(), surface.th2[:, None] <= surface.th1
        free = lower & (surface.fa.T == 0)
        assert free.any()
        assert set(shown[free].tolist()) == {mesh.norm.vmin}

    def test_thresholds_in_use_are_marked(self):
        surface, *_ = blob_surface()
        at = surface.th1[3], surface.th2[1]
        figure = plot_surface(surface, at=at)
        draw(figure)
        rings = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert {(*line.get_xdata(), *line.get_ydata()) for line in rings} == {at}
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert f"now, {at[0]:g} / {at[1]:g}" in labels

    def test_refuses_an_unknown_value_and_a_single_threshold(self):
        with pytest.raises(ValueError, match=r"unknown value 'scor'.*score"):
            plot_surface(blob_surface()[0], "scor")
        with pytest.raises(ValueError, match="at least two thresholds"):
            plot_surface(blob_surface(count=1)[0])


class TestROC:
    def test_every_method_has_its_curves_and_its_areas(self):
        _, prob, truth = blob_surface()
        curve = roc([prob], [truth])
        figure = plot_roc({"EEDM": curve, "BCE": curve})
        draw(figure)
        left, right = figure.axes
        labels = [text.get_text() for text in left.get_legend().get_texts()]
        assert labels == [f"{name}: AUC {curve.auc:.4f}" for name in ("EEDM", "BCE")]
        np.testing.assert_allclose(left.lines[0].get_xdata(), 100 * curve.fpr)
        assert right.get_xlim() == (0, 100)
        for axes in figure.axes:  # the legend covers no curve
            assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0

    def test_refuses_no_curves(self):
        with pytest.raises(ValueError, match="no curves"):
            plot_roc({})


def curve(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return dict(zip(np.round(line.get_xdata(), 6).tolist(), line.get_ydata(), strict=True))


class TestSensitivity:
    GRIDS: ClassVar = {"th1": [0.2, 0.3, 0.5], "th2": [0.1, 0.25, 0.4, 1.0]}

    @pytest.fixture
    def surface(self):
        """Two targets, of 0.8 and 0.22, and one false pixel of 0.15, on 40 000 px."""
        prob, mask = np.zeros((200, 200), np.float32), np.zeros((200, 200), bool)
        mask[10:12, 10:12] = mask[50:52, 50:52] = True
        prob[10:12, 10:12], prob[50:52, 50:52], prob[90, 90] = 0.8, 0.22, 0.15
        return threshold_surface([prob], [mask], **self.GRIDS)

    def test_the_curves_are_the_figures(self, surface):
        figure = plot_sensitivity(surface)
        draw(figure)
        upper, upper_right, lower, lower_right = figure.axes
        assert curve(upper, "Pd") == {0.2: 100, 0.3: 50, 0.5: 50}
        assert curve(upper, "IoU") == {0.2: 100, 0.3: 50, 0.5: 50}
        assert curve(upper, "Score") == {0.2: 100, 0.3: 50, 0.5: 50}
        assert curve(lower, "Fa") == {0.2: 0, 0.3: 0, 0.5: 0}
        # th2 = 0.1 finds the second target by one pixel of its four, and the false one
        assert curve(upper_right, "Pd") == {0.1: 100, 0.25: 50, 0.4: 50}
        assert curve(upper_right, "IoU") == pytest.approx({0.1: 100 * 5 / 9, 0.25: 50, 0.4: 50})
        assert curve(lower_right, "Fa") == pytest.approx({0.1: 1e6 / 40_000, 0.25: 0, 0.4: 0})
        assert set(lower.lines[1].get_ydata()) == {100}

    def test_units_legends_and_titles(self, surface):
        figure = plot_sensitivity(surface, th1=0.5)
        upper, upper_right, lower, _ = figure.axes
        assert upper.get_ylabel() == "IoU, Pd and Score [%]"
        assert lower.get_ylabel() == "Fa [10⁻⁶]"
        assert upper.get_title(loc="left") == "th1 alone, no weak targets; best Score 100.00 at 0.2"
        assert upper_right.get_title(loc="left") == "th2 at th1 = 0.5; best Score 77.78 at 0.1"
        named = [text.get_text() for text in figure.legends[0].get_texts()]
        assert named == ["IoU", "Pd", "Score", "th2 = th1", "Fa", "limit, 100 × 10⁻⁶"]

    def test_a_void_score_is_not_drawn(self, surface):
        axes = plot_sensitivity(surface, max_fa=2e-5).axes[1]
        assert np.isnan(curve(axes, "Score")[0.1])
        assert curve(axes, "Score")[0.25] == 50
        nothing = plot_sensitivity(surface, max_fa=0)
        draw(nothing)
        assert nothing.axes[0].get_title(loc="left") == "th1 alone, no weak targets"

    def test_the_papers_figures_beside(self, surface):
        upper, upper_right, lower, lower_right = plot_sensitivity(surface, paper=True).axes
        assert curve(upper, "IoU, paper")[0.3] == 64.22
        assert curve(lower, "Fa, paper")[0.05] == 138.46
        assert curve(upper_right, "Pd, paper")[0.5] == 81.61
        assert sorted(curve(lower_right, "Fa, paper")) == [0.05, 0.1, 0.2, 0.3, 0.4, 0.5]
        elsewhere = plot_sensitivity(surface, th1=0.5, paper=True)
        draw(elsewhere)
        assert "Pd, paper" not in [line.get_label() for line in elsewhere.axes[1].lines]

    def test_a_grid_without_what_is_drawn(self, surface):
        with pytest.raises(ValueError, match=r"th1 = 0.35 is not on the grid"):
            plot_sensitivity(surface, th1=0.35)
        prob = np.full((4, 4), 0.7, np.float32)
        without = threshold_surface([prob], [prob > 0], th1=[0.3, 0.5], th2=[0.1, 0.2])
        with pytest.raises(ValueError, match=r"th2 = 1.0 is not on the grid"):
            plot_sensitivity(without)


def target_figures(*targets, images=None):
    """Figures of targets (split, area, kind, scr), every one in an image of its own."""
    rows = [
        (split, f"i{n}", 9.0, 9.0, area, kind, 5 * scr, scr)
        for n, (split, area, kind, scr) in enumerate(targets)
    ]
    if images is None:
        images = [(row[0], row[1], 64, 96, 1) for row in rows]
    return TargetStatistics(
        "sky",
        pd.DataFrame(images, columns=list(IMAGE_COLUMNS)),
        pd.DataFrame(rows, columns=list(TARGET_COLUMNS)),
    )


def shares(axes):
    """Sum of the bars of each split [%], whose steps of equal width are one polygon."""
    sums = []
    for collection in axes.collections:
        x, y = collection.get_paths()[0].vertices.T
        covered = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        sums.append(round(covered / np.diff(np.unique(x.round(6))).min()))
    return sums


class TestTargets:
    FIGURES = target_figures(
        ("train", 4, "point", 3.0), ("train", 30, "spot", 8.0), ("test", 200, "extended", -1.0)
    )

    def test_every_target_is_in_every_histogram(self):
        figure = plot_targets(self.FIGURES)
        draw(figure)
        area, scr, contrast, several, scatter, sizes = figure.axes
        assert len(area.collections) == 2
        assert shares(scr) == shares(contrast) == [100, 100]
        assert sum(bar.get_height() for bars in several.containers for bar in bars) == 200
        assert len(scatter.collections[0].get_offsets()) == 3
        assert sizes.texts[0].get_text() == "96 × 64: 3 images"

    def test_what_it_says(self):
        figure = plot_targets(self.FIGURES)
        assert figure.get_suptitle() == "sky: 3 targets in 3 images (train 2, test 1)"
        assert figure.axes[0].get_title(loc="left") == "point 33.3 %, spot 33.3 %, extended 33.3 %"
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)

    def test_the_borders_of_the_kinds_are_edges_of_bars(self):
        figure = plot_targets(self.FIGURES)
        (steps, *_) = figure.axes[0].collections
        edges = set(steps.get_paths()[0].vertices[:, 0].round(6))
        assert {9.5, 81.5} < edges

    def test_outliers_count_in_the_outermost_bars(self):
        many = [("test", 20, "spot", scr) for scr in [*np.linspace(1, 9, 400), 500.0]]
        scr = plot_targets(target_figures(*many)).axes[1]
        assert shares(scr) == [100]
        assert scr.collections[0].get_paths()[0].vertices[:, 0].max() < 10

    def test_images_without_targets_are_counted(self):
        images = [("test", "i0", 64, 64, 1), ("test", "none", 64, 64, 0)]
        figure = plot_targets(target_figures(("test", 5, "point", 3.0), images=images))
        draw(figure)
        assert figure.axes[3].get_title(loc="left") == "1 empty, 1 with one, 0 with more"

    def test_sizes_beyond_the_most_frequent_are_counted(self):
        images = [("test", f"i{n}", 64, 64 + n // 2, 1) for n in range(11)]
        figure = plot_targets(target_figures(("test", 5, "point", 3.0), images=images))
        assert figure.axes[5].texts[0].get_text().endswith("and 3 other sizes")

    def test_no_target(self):
        with pytest.raises(ValueError, match="sky: 0 targets in 1 images, none with an SCR"):
            plot_targets(target_figures(images=[("test", "a", 64, 64, 0)]))

    def test_no_target_with_a_ring(self):
        with pytest.raises(ValueError, match="sky: 1 targets in 1 images, none with an SCR"):
            plot_targets(target_figures(("test", 5, "point", NAN)))


class TestSamples:
    def test_the_weakest_target_is_enlarged(self):
        image, mask = np.full((64, 96), 50, np.uint8), np.zeros((64, 96), bool)
        mask[10:12, 10:12] = mask[50, 80:83] = True
        image[10:12, 10:12], image[50, 80:83] = 200, 60
        figure = plot_samples([Sample(image, mask, "a")], title="sky, test")
        draw(figure)
        assert figure.get_suptitle() == "sky, test"
        assert titles(figure) == ["a", "3 px, SCR 20.0, weakest of 2"]
        assert figure.axes[1].images[0].get_array().max() == 60
        assert [to_rgba(patch.get_edgecolor()) for patch in figure.axes[0].patches] == [
            to_rgba(TRUTH),
            to_rgba(STRONG),
        ]

    def test_images_of_any_size_some_without_targets(self):
        empty = Sample(np.zeros((20, 30), np.uint8), np.zeros((20, 30), bool), "a" * 40)
        full = Sample(np.zeros((16, 16), np.uint8), np.ones((16, 16), bool), "full")
        figure = plot_samples([Sample(IMAGE, MASK, "b"), empty, full, empty])
        draw(figure)
        assert titles(figure)[2:6] == ["a" * 23 + "…", "no target", "full", "256 px, no ring"]
        assert len(figure.axes) == 12

    def test_nothing_to_draw(self):
        with pytest.raises(ValueError, match="no samples to draw, expected at least one"):
            plot_samples([])


class TestStrips:
    def lens(self, *seen, mask=MASK):
        """Centre (y, x) of what is enlarged, the same in every picture."""
        columns = {str(k): [each] for k, each in enumerate(seen)}
        figure = show_strips([Sample(IMAGE, mask, "a")], columns)
        draw(figure)
        places = set()
        for axes in figure.axes[: len(seen) + 2]:
            (lens,) = axes.child_axes
            (x0, x1), (y1, y0) = lens.get_xlim(), lens.get_ylim()
            assert (x1 - x0, y1 - y0) == (24, 24)
            places.add(((y0 + y1) / 2, (x0 + x1) / 2))
        (place,) = places
        return place

    def mask(self, *places, size=4):
        mask = np.zeros(MASK.shape, bool)
        for y, x in places:
            mask[y : y + size, x : x + size] = True
        return mask

    def test_every_kind_of_picture_in_its_column(self):
        prob = MASK.astype(np.float32)
        samples = [Sample(IMAGE, MASK, name) for name in ("a", "b")]
        found = [adjust_sensitivity(prob), detection((0, 0, 0.9))]
        columns = {"prob": [prob, prob], "AS": found}
        figure = show_strips(samples, columns, notes=["better", "worse"])
        draw(figure)
        heads = [axes.get_title() for axes in figure.axes[:8]]
        assert heads == ["image", "prob", "AS", "truth", "", "", "", ""]
        below = [axes.get_xlabel() for axes in figure.axes[:8]]
        assert below[2::4] == ["2 of 2 found, 0 false px", "0 of 2 found, 4 false px"]
        assert not any(below[:2] + below[3:6] + below[7:])
        shown = [axes.images[0].get_array() for axes in figure.axes[:8]]
        for k, expected in enumerate([IMAGE, prob, IMAGE, MASK]):
            np.testing.assert_array_equal(shown[k], expected)
        assert [figure.axes[k].get_ylabel() for k in (0, 4)] == ["a\nbetter", "b\nworse"]

    def test_the_lens_shows_a_target_that_some_miss(self):
        mask = self.mask((14, 14), (30, 44), size=4)
        first, second = self.mask((14, 14)), mask.copy()
        prob = [each.astype(np.float32) for each in (first, second)]
        place = self.lens(*prob, mask=mask)
        assert np.allclose(place, (31.5, 45.5), atol=1.1)
        place = self.lens(prob[1], adjust_sensitivity(prob[0]), mask=mask)
        assert np.allclose(place, (31.5, 45.5), atol=1.1)

    def test_the_lens_shows_a_false_region_where_all_find_the_same(self):
        mask = self.mask((14, 14))
        false = (mask | self.mask((30, 44), size=3)).astype(np.float32)
        place = self.lens(mask.astype(np.float32), false, mask=mask)
        assert np.allclose(place, (31, 45), atol=1.1)

    def test_the_lens_shows_the_largest_target_where_nothing_differs(self):
        mask = self.mask((14, 14)) | self.mask((30, 44), size=6)
        same = mask.astype(np.float32)
        assert np.allclose(self.lens(same, same, mask=mask), (32.5, 46.5), atol=1.1)

    def test_the_lens_stays_inside_the_image(self):
        assert self.lens(0 * MASK.astype(np.float32), mask=self.mask((0, 0))) == (11.5, 11.5)
        assert self.lens(0 * MASK.astype(np.float32), mask=0 * MASK > 0) == (23.5, 31.5)

    def test_columns_that_do_not_fit(self):
        sample, prob = Sample(IMAGE, MASK, "a"), MASK.astype(np.float32)
        with pytest.raises(ValueError, match="got 0 images and 1 columns; pass at least one"):
            show_strips([], {"prob": []})
        with pytest.raises(ValueError, match="got 1 images and 0 columns"):
            show_strips([sample], {})
        with pytest.raises(ValueError, match="'prob' has 2 entries for 1 images; pass one"):
            show_strips([sample], {"prob": [prob, prob]})


class TestStyle:
    def test_a_figure_is_saved_in_three_forms_and_leaves_the_style_as_it_was(self, tmp_path):
        before = dict(mpl.rcParams)
        figure = show(IMAGE, detection(), MASK)
        paths = save_figure(figure, tmp_path / "new" / "a.b", dpi=50)
        assert [path.name for path in paths] == ["a.b.png", "a.b.pdf", "a.b.svg"]
        assert b"<text" in paths[2].read_bytes()  # text stays text
        assert dict(mpl.rcParams) == before

    def test_a_surface_is_drawn_into_given_axes(self):
        surface, *_ = blob_surface()
        figure, (axes, _) = plt.subplots(1, 2)
        assert plot_surface(surface, ax=axes) is figure
        assert axes.get_xlabel() == "strong threshold th1"
        plt.close(figure)

    def test_one_panel_is_drawn_into_given_axes(self):
        figure, (left, right) = plt.subplots(1, 2)
        assert show(IMAGE, None, MASK, ax=left) is figure
        assert (left.get_title(loc="left"), len(figure.axes)) == ("2 true targets", 2)
        table = compare_with_paper({}, paper_table("th1"), measured="nothing")
        assert plot_compared(table, "th1", metrics=["iou"], ax=right) is figure
        assert right.get_ylabel() == "IoU [%]"
        with pytest.raises(ValueError, match="got 4 metrics over 1 columns; pass one"):
            plot_compared(table, "th1", ax=right)
        plt.close(figure)

    def test_percentiles_keep_dark_frames_visible(self):
        dark = np.random.default_rng(0).integers(0, 20, (64, 64), np.uint8)
        dark[0, 0] = 255
        assert show(dark, None).axes[0].images[0].get_clim()[1] < 25
        assert show(dark, None, contrast=(0, 100)).axes[0].images[0].get_clim()[1] == 255


class TestCompared:
    def counts(self, hits, false=0):
        hit = Counts(images=1, pixels=10**6, intersection=1, predicted=1, true=1, targets=1,
                     detected=1, false_pixels=false)  # fmt: skip
        miss = Counts(images=1, pixels=10**6, true=1, targets=1, false_pixels=false)
        return [hit] * hits + [miss] * (4 - hits)

    def lines(self, axes):
        return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}

    def test_ours_with_intervals_and_the_papers(self):
        rows = {"th1 0.5": self.counts(2), "th1 0.3": self.counts(4, false=30)}
        paper = paper_table("th1").loc[["th1 0.5", "th1 0.3"]]
        table = compare_with_paper(rows, paper, measured="four images")
        figure = plot_compared(table, "th1")
        draw(figure)
        assert [axes.get_ylabel() for axes in figure.axes] == [
            "IoU [%]", "Pd [%]", "Fa [10⁻⁶]", "Score [%]",
        ]  # fmt: skip
        iou, _, fa, score = figure.axes
        (bars,) = iou.containers
        assert bars[0].get_xydata().tolist() == [[0.5, 50], [0.3, 100]]
        assert self.lines(iou)["paper"] == [[0.5, 64.49], [0.3, 64.22]]
        ends = [segment[:, 1].tolist() for segment in bars[2][0].get_segments()]
        known = table.loc[list(rows), ["iou_low", "iou_high"]].to_numpy()
        np.testing.assert_allclose(ends, known)
        assert fa.containers[0][0].get_xydata().tolist() == [[0.5, 0], [0.3, 30]]
        assert self.lines(fa)["limit of Fa"] == [[0, 100], [1, 100]]
        assert score.get_title(loc="left") == ""
        assert [label.get_text() for label in iou.get_xticklabels()] == ["0.3", "0.5"]

    def test_a_void_score_and_a_paper_without_figures(self):
        rows = {"edge_weight 4": self.counts(2, false=500), "keep_ratio 0.5": self.counts(3)}
        table = compare_with_paper(rows, paper_table("hyperparameters"), measured="four images")
        columns, marks = ["edge_weight", "keep_ratio"], {"edge_weight": 4}
        figure = plot_compared(table, columns, metrics=["iou", "score"], marks=marks)
        draw(figure)
        assert [axes.get_ylabel() for axes in figure.axes] == ["IoU [%]", "Score [%]"] * 2
        assert titles(figure) == ["", "1 of 1 void, Fa too high", "", ""]
        assert [axes.get_xlabel() for axes in figure.axes] == ["edge_weight"] * 2 + [
            "keep_ratio"
        ] * 2
        assert "paper" not in self.lines(figure.axes[0])
        assert self.lines(figure.axes[0])["best in the paper"] == [[4, 0], [4, 1]]
        assert "best in the paper" not in self.lines(figure.axes[2])

    def test_a_smoke_run_says_so(self):
        table = compare_with_paper({}, paper_table("th1"), measured="nothing")
        assert plot_compared(table, "th1").get_suptitle() == ""
        table.attrs["profile"] = "smoke"
        assert plot_compared(table.assign(a=1), "th1").get_suptitle() == "Smoke run: not a result"

    def test_what_has_not_been_run_is_not_void(self):
        rows = {"edge_weight 4": self.counts(2, false=500)}
        table = compare_with_paper(rows, paper_table("hyperparameters"), measured="four images")
        figure = plot_compared(table, ["edge_weight", "keep_ratio"], metrics=["score"])
        draw(figure)
        assert titles(figure) == ["1 of 1 void, Fa too high", ""]

    def test_names(self):
        table = compare_with_paper({}, paper_table("th1"), measured="nothing")
        draw(plot_compared(table, "th1"))
        with pytest.raises(ValueError, match="unknown column 'th3'"):
            plot_compared(table, "th3")
        with pytest.raises(ValueError, match="unknown metric 'niou'"):
            plot_compared(table, "th1", metrics=["niou"])
