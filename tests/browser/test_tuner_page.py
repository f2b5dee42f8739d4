"""The page of the tuner by itself: messages, layout, scales and legends, keys, downloads."""

import csv
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import festkit as fk

from .pages import WatchedPage
from .plain import open_plain

TUNER = "document.querySelector('.festkit-tuner').tuner"


def make_tuner():
    """Four images with true targets, and a bright pixel in dark frames."""
    rng = np.random.default_rng(0)
    probs, masks, images = {}, {}, {}
    for k in range(4):
        name = f"scene, {k}"
        prob = np.zeros((60, 80), np.float32)
        masks[name] = np.zeros((60, 80), bool)
        for y in (10, 30, 50):
            masks[name][y : y + 3, 20:23] = True
            prob[y : y + 3, 20:23] = rng.uniform(0.2, 0.9)
        prob[12:30:4, 40:46:2] = 0.3  # a crowd of weak targets, all false
        probs[name] = prob
        images[name] = rng.integers(10, 20, (60, 80)).astype(np.uint8)
        images[name][5, 5] = 255
    return fk.ThresholdTuner(probs, masks, images)


@pytest.fixture
def open_page(browser, artifacts):
    """A function that opens the tuner; ``held`` questions get no answer."""
    contexts = []

    def open_it(held=(), size=(1280, 720), tuner=None):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        watched = WatchedPage(context.new_page(), artifacts)
        open_plain(watched.page, tuner or make_tuner(), held)
        watched.page.wait_for_function(f"{TUNER}.painted && {TUNER}.image")
        if "surface" not in held:
            watched.page.locator(".fk-heat").wait_for()
        if "metrics" not in held:
            watched.page.wait_for_function(f"{TUNER}.list.rows[0].marks !== undefined")
        return watched

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page):
    watched = open_page()
    yield watched.page
    assert watched.errors == []


def painted(page):
    """Wait until what was asked for is painted."""
    page.wait_for_function(f"!{TUNER}.painting && !{TUNER}.stale")


class TestMessages:
    def test_they_appear_below_the_buttons_and_fade(self, page):
        page.clock.install()
        page.evaluate(f"{TUNER}.setMessage('saved\\nThey were chosen on test images')")
        message = page.locator(".fk-message")
        box, button = message.bounding_box(), page.locator("[data-name=copy]").bounding_box()
        assert 0 <= box["y"] - (button["y"] + button["height"]) < 30
        assert message.get_attribute("aria-live") == "polite"
        page.clock.run_for(3000)
        assert message.is_visible()
        page.clock.run_for(20_000)
        assert message.inner_text() == ""

    def test_errors_stay_until_they_are_closed(self, page):
        page.clock.install()
        root, button = page.locator(".festkit-tuner"), page.locator("[data-name=close]")
        for close in (button.click, lambda: root.press("Escape")):
            page.evaluate(f"{TUNER}.setMessage('no space left', true)")
            page.clock.run_for(60_000)
            assert page.locator(".fk-message.fk-error").is_visible()
            close()
            assert page.locator(".fk-message").inner_text() == ""


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_the_page_is_not_scrolled(open_page, size):
    page = open_page(size=size).page
    heights = page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
    assert heights[0] <= heights[1]
    for place in (".fk-heat", ".fk-curve", ".fk-rows", ".fk-legend", ".fk-tiles"):
        box = page.locator(place).bounding_box()
        assert box["y"] + box["height"] <= size[1] - 100, place
    main = page.locator(".fk-main").bounding_box()
    assert min(main["width"], main["height"]) > 0.4 * size[1]
    beside = page.locator(".fk-list").bounding_box()
    assert beside["x"] + beside["width"] <= main["x"]


class TestLegends:
    def test_the_probability_layer_has_a_scale(self, page):
        page.evaluate(f"{TUNER}.set(1000, 990, true)")
        page.locator("[data-layer=heat]").click()
        painted(page)
        ticks = page.evaluate(f"{TUNER}.viewer.ticks")
        assert [text for text, _ in ticks] == ["1", "th1 0.100", "th2 0.099", "0"]
        assert np.diff([y for _, y in ticks]).min() >= 13

    def test_every_mark_is_named(self, page):
        legend = page.locator(".fk-legend").inner_text()
        for name in ("strong, false", "weak, its peak", "truth", "found", "missed", "false alarm"):
            assert name in legend
        captions = page.locator(".fk-caption").all_inner_texts()
        assert all(name in captions[0] for name in ("Fa limit", "paler above", "best", "now"))
        assert all(name in captions[1] for name in ("each th1", "Fa limit", "now"))

    @pytest.mark.parametrize(("th1", "th2"), [(5000, 1000), (3333, 1234)])
    def test_the_line_goes_through_the_thresholds_now(self, page, th1, th2):
        page.evaluate(f"{TUNER}.set({th1}, {th2}, true)")
        page.wait_for_function(f"{TUNER}.known.has({TUNER}.key)")
        painted(page)
        now, line = page.evaluate(f"[{TUNER}.metricsNow(), {TUNER}.curve.line]")
        assert [now["fa"], now["pd"], th1] in line

    def test_peaks_do_not_overlap(self, page):
        painted(page)
        peaks = np.array(page.evaluate(f"{TUNER}.viewer.peaks"))
        assert len(peaks) > 5
        apart = np.abs(peaks[:, None] - peaks) > (36, 12)
        assert (apart.any(-1) | np.eye(len(peaks), dtype=bool)).all()


class TestViewer:
    def test_a_dark_frame_is_seen(self, page):
        mean = f"""(() => {{
          const {{ base }} = {TUNER}.viewer;
          const {{ data }} = base.getContext("2d").getImageData(0, 0, base.width, base.height);
          return data.filter((_, k) => k % 4 === 0).reduce((a, b) => a + b, 0) / (data.length / 4);
        }})()"""
        assert page.evaluate(mean) > 90
        page.locator("[data-name=contrast]").select_option("full")
        assert page.evaluate(mean) < 20

    def test_zoom_by_buttons_and_keys(self, page):
        scale = f"{TUNER}.viewer.zoom.scale"
        fitted = page.evaluate(scale)
        root = page.locator(".festkit-tuner")
        wanted = {"in +": 1.3 * fitted, "actual 1": 1, "out -": 1 / 1.3, "fit 0": fitted}
        for names, value in wanted.items():
            page.locator(f".fk-zoom [data-name={names.split()[0]}]").click()
            painted(page)
            assert page.evaluate(scale) == pytest.approx(value), names
        for names, value in wanted.items():
            root.press(names.split()[1])
            painted(page)
            assert page.evaluate(scale) == pytest.approx(value), names
        root.press("t")
        painted(page)
        assert page.evaluate(scale) != fitted
        left = page.evaluate(f"{TUNER}.viewer.zoom.x")
        root.press("Shift+ArrowRight")
        assert page.evaluate(f"{TUNER}.viewer.zoom.x") > left


def test_a_typed_threshold_that_moves_the_other_one_says_so(page):
    page.locator(".fk-field[data-name=th2]").fill("0.6")
    page.locator(".fk-field[data-name=th2]").press("Enter")
    page.locator(".fk-message").get_by_text("th1 is now 0.600, too").wait_for()


class TestKeyboard:
    def test_help_lists_all_keys(self, page):
        panel = page.locator(".fk-help")
        page.locator("[data-name=help]").click()
        assert all(key in panel.inner_text() for key in ("← →", "Shift + arrows", "Esc", "t"))
        panel.press("Escape")
        assert panel.is_hidden()
        page.locator(".festkit-tuner").press("?")
        assert panel.is_visible()

    def test_heat_map_and_list(self, page):
        page.locator(".fk-heat").press("ArrowRight")
        page.locator(".fk-heat").press("ArrowDown")
        assert page.evaluate(f"[{TUNER}.th1, {TUNER}.th2]") == [5050, 950]
        page.locator(".fk-rows").press("ArrowDown")
        assert page.evaluate(f"{TUNER}.index") == 1
        assert page.locator(".fk-row[aria-selected=true]").get_attribute("data-index") == "1"

    def test_everything_has_a_name(self, page):
        unnamed = page.evaluate("""[...document.querySelectorAll(
          ".festkit-tuner :is(button, input, select, canvas[role], [role=listbox])")].filter(
          (one) => !(one.ariaLabel || one.title || one.labels?.length || one.innerText?.trim()))
          .map((one) => one.outerHTML)""")
        assert unnamed == []


class TestDownloads:
    def test_picture(self, page):
        with page.expect_download() as download:
            page.locator("[data-name=picture]").click()
        assert download.value.suggested_filename == "scene_0-th1-0.500-th2-0.100.png"
        with Image.open(download.value.path()) as picture:
            box = page.locator(".fk-main").bounding_box()
            assert picture.width == pytest.approx(box["width"], abs=1)
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 9

    def test_drawing_has_every_mark_as_a_shape(self, page):
        with page.expect_download() as download:
            page.locator("[data-name=drawing]").click()
        assert download.value.suggested_filename.endswith(".svg")
        drawing = ElementTree.parse(download.value.path()).getroot()
        kinds = [element.tag.rpartition("}")[2] for element in drawing]
        marks, named = page.evaluate(
            f"[{TUNER}.viewer.spots.filter((spot) => spot.outcome !== 'weak').length,"
            f" {TUNER}.viewer.peaks.length]"
        )
        assert kinds.count("image") == 1
        assert kinds.count("path") == 2 * (marks + 1)  # a rim and a line; all crosses are one
        assert kinds.count("text") == named
        assert named > 0

    def test_table(self, page):
        with page.expect_download() as download:
            page.locator("[data-name=table]").click()
        text = download.value.path().read_text(encoding="utf-8")
        rows = list(csv.DictReader(text.splitlines()))
        counts = page.evaluate(f"{TUNER}.known.get({TUNER}.key).rows")
        assert [row["image"] for row in rows] == [f"scene, {k}" for k in range(4)]
        for row, wanted in zip(rows, counts, strict=True):
            for name in ("targets", "detected", "false_pixels"):
                assert int(row[name]) == wanted[name]
            assert float(row["iou"]) == wanted["iou"]


def test_until_the_charts_are_there_their_progress_is_shown(open_page):
    page = open_page(held=("surface",)).page
    bar = page.locator(".fk-waiting progress")
    page.locator(".fk-waiting").get_by_text("first run on a machine also compiles").wait_for()
    page.evaluate("tellPage([{ type: 'progress', about: 'surface', done: 0.25 }, []])")
    page.locator(".fk-waiting").get_by_text("every pair of thresholds: 25 %").wait_for()
    assert bar.get_attribute("value") == "0.25"


def test_the_list_has_thumbnails(page):
    page.locator(".fk-row canvas").nth(3).wait_for()
    assert page.locator(".fk-row canvas").count() == 4
