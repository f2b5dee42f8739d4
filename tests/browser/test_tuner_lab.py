"""The tuner in JupyterLab, as a user works it: sliders, keys, heat map, list, buttons."""

import json
import re

import numpy as np
import pytest

import festkit as fk
from festkit.training.run import Run
from festkit.tuner.charts import GRID, STEPS
from festkit.tuner.sources import fest_path

from .tuner_cases import hand_made_run

PAUSE = "import time; time.sleep({})"

ONE_SHELL = """() => {
  const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  kernel.commsOverSubshells = "disabled";
}"""
"""A busy kernel then answers no widget, as before JupyterLab 4.4: the harder case."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return hand_made_run(tmp_path_factory.mktemp("runs"), maps=2)


@pytest.fixture(scope="module")
def lab(open_lab_for_module, runs):
    paths = ", ".join(repr(str(run.folder)) for run in runs)
    lab = open_lab_for_module(
        [
            "import festkit as fk, ipywidgets",
            f"tuner = fk.ThresholdTuner.from_run({paths})\ntuner",
            "other = ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.01)\n"
            "link = ipywidgets.jslink((other, 'value'), (tuner.widget, 'th1'))",
        ]
    )
    lab.page.evaluate(ONE_SHELL)
    assert lab.run_all() == []
    lab.page.locator(".fk-charts").wait_for(timeout=120_000)  # the surface may compile first
    settled(lab)
    yield lab
    assert lab.errors == []


@pytest.fixture(autouse=True)
def at_first(lab):
    """Every test begins at the first thresholds and the first image."""
    button(lab, "reset").click()
    lab.page.evaluate("document.querySelector('.festkit-tuner').tuner.show(0)")
    lab.page.locator(".fk-tuner").focus()
    settled(lab)


def button(lab, name):
    return lab.page.locator(f".festkit-tuner button[data-name={name}]")


def slider(lab, name):
    return lab.page.locator(f".fk-slider[data-name={name}]")


def settled(lab):
    """Wait until the figures of the thresholds as they are stand on the page."""
    lab.page.wait_for_function("""() => {
      const { tuner } = document.querySelector(".festkit-tuner");
      const at = `at ${tuner.label(tuner)};`;
      return tuner.known.has(tuner.key) && !tuner.painting
        && tuner.list.rows[0].marks !== undefined && tuner.list.note.textContent.startsWith(at);
    }""")


def now(lab):
    """Thresholds of the page."""
    th1, th2 = lab.page.evaluate(
        "(() => { const { tuner: t } = document.querySelector('.festkit-tuner');"
        " return [t.th1, t.th2]; })()"
    )
    return th1 / STEPS, th2 / STEPS


def in_kernel(lab):
    return tuple(lab.value("[tuner.th1, tuner.th2]"))


def choose(lab, name, value):
    lab.page.locator(f"[data-name={name}]").select_option(value)


def wait_for(lab, condition):
    """Wait until something is true of the page's tuner."""
    lab.page.wait_for_function(f"document.querySelector('.festkit-tuner').tuner.{condition}")


def tile(lab, name):
    return lab.page.locator(f".fk-tile[data-name^='{name}'] b").inner_text()


def drag(lab, name, threshold):
    """Take a slider by its thumb and move it to a threshold."""
    box = slider(lab, name).bounding_box()
    place = lambda t: box["x"] + 9 + (t - GRID[0]) / (GRID[-1] - GRID[0]) * (box["width"] - 18)  # noqa: E731
    y = box["y"] + box["height"] / 2
    before = now(lab)[name == "th2"]
    lab.page.mouse.move(place(before), y)
    lab.page.mouse.down()
    lab.page.mouse.move(place(threshold), y, steps=12)
    lab.page.mouse.up()


def maps_of(runs):
    own = [run.test_maps() for run in runs]
    return {name: [maps[name] for maps in own] for name in own[0]}


def found_at(runs, th1, th2, rule="per_scale"):
    dataset = fk.load_dataset(runs[0].folder.parent / "scenes", "test")
    scales = maps_of(runs)
    masks = [
        fk.adjust_sensitivity(
            fk.fuse(scales[s.name], s.mask.shape), th1, th2,
            scale_maps=scales[s.name] if rule == "per_scale" else None,
        ).mask
        for s in dataset
    ]  # fmt: skip
    return fk.evaluate(masks, [s.mask for s in dataset])


class TestSliders:
    def test_drag(self, lab, runs):
        drag(lab, "th1", 0.3)
        drag(lab, "th2", 0.2)
        th1, th2 = now(lab)
        assert abs(th1 - 0.3) < 0.02
        assert abs(th2 - 0.2) < 0.02
        settled(lab)
        assert in_kernel(lab) == (th1, th2)
        counts = found_at(runs, th1, th2)
        assert tile(lab, "Pd") == f"{100 * counts.pd:.2f}"
        assert tile(lab, "IoU") == f"{100 * counts.iou:.2f}"
        assert tile(lab, "Fa") == f"{1e6 * counts.fa:.2f}"
        assert f"th1 {th1:.3f}, th2 {th2:.3f}" in lab.page.locator(".fk-label").first.inner_text()

    def test_th2_may_lie_above_th1_where_every_scale_has_its_say(self, lab, runs):
        drag(lab, "th1", 0.3)
        drag(lab, "th2", 0.4)
        th1, th2 = now(lab)
        assert abs(th1 - 0.3) < 0.02
        assert abs(th2 - 0.4) < 0.02
        settled(lab)
        assert in_kernel(lab) == (th1, th2)
        assert tile(lab, "Pd") == f"{100 * found_at(runs, th1, th2).pd:.2f}"
        choose(lab, "rule", "fused")
        assert now(lab) == (th1, th1)
        settled(lab)
        assert in_kernel(lab) == (th1, th1)

    def test_one_takes_the_other_along_on_the_fused_map(self, lab):
        choose(lab, "rule", "fused")
        drag(lab, "th1", 0.05)
        th1, th2 = now(lab)
        assert th1 == th2 < 0.1
        drag(lab, "th2", 0.7)
        th1, th2 = now(lab)
        assert th1 == th2 > 0.6
        settled(lab)
        assert in_kernel(lab) == (th1, th2)

    def test_keys(self, lab):
        slider(lab, "th2").focus()
        for _ in range(4):
            lab.page.keyboard.press("ArrowRight")
        assert now(lab) == (0.5, 0.12)
        lab.page.keyboard.press("End")
        assert now(lab) == (0.5, GRID[-1])
        choose(lab, "rule", "fused")
        assert now(lab) == (0.5, 0.5)

    def test_fields_take_four_decimals(self, lab, runs):
        field = lab.page.locator(".fk-field[data-name=th2]")
        field.fill("0.1234")
        field.press("Enter")
        assert now(lab) == (0.5, 0.1234)
        settled(lab)
        assert tile(lab, "Pd") == f"{100 * found_at(runs, 0.5, 0.1234).pd:.2f}"

    @pytest.mark.parametrize("typed", ["1.5", "-0.1", ""])
    def test_fields_refuse_what_is_no_probability(self, lab, typed):
        field = lab.page.locator(".fk-field[data-name=th1]")
        field.fill(typed)
        field.press("Tab")
        assert now(lab) == (0.5, 0.1)
        assert re.search("fk-wrong", field.get_attribute("class"))
        assert "is no probability" in field.get_attribute("title")

    def test_what_is_typed_stays_until_it_is_taken(self, lab):
        field = lab.page.locator(".fk-field[data-name=th1]")
        field.fill("0.3")
        lab.page.evaluate("document.querySelector('.festkit-tuner').tuner.paint()")
        lab.page.wait_for_timeout(100)
        assert field.input_value() == "0.3"
        field.press("Enter")
        assert now(lab) == (0.3, 0.1)
        lab.page.wait_for_function(
            "document.querySelector('.fk-field[data-name=th1]').value === '0.300'"
        )

    def test_python_and_linked_widgets_move_them(self, lab):
        for rule, pairs in (
            ("per_scale", [(0.5, 0.6), (0.25, 0.6)]),
            ("fused", [(0.7, 0.7), (0.2, 0.2)]),
        ):
            lab.execute(f"tuner.rule = {rule!r}")
            lab.execute(f"tuner.th2 = {pairs[0][1]}")
            wait_for(lab, f"th2 === {round(pairs[0][1] * STEPS)}")
            assert now(lab) == pairs[0]
            lab.execute(f"other.value = {pairs[1][0]}")
            wait_for(lab, f"th1 === {round(pairs[1][0] * STEPS)}")
            assert now(lab) == pairs[1]


class TestCharts:
    def spot(self, lab, th1, th2):
        """A place on the heat map, in px of the page."""
        box = lab.page.locator(".fk-heat").bounding_box()
        frame = lab.page.evaluate("document.querySelector('.festkit-tuner').tuner.heat.frame()")
        share = lambda t: (t - GRID[0] + 0.0025) / (GRID[-1] - GRID[0] + 0.005)  # noqa: E731
        x = frame["left"] + share(th1) * (frame["right"] - frame["left"])
        y = frame["bottom"] - share(th2) * (frame["bottom"] - frame["top"])
        return box["x"] + x, box["y"] + y

    def test_a_click_sets_both(self, lab):
        lab.page.mouse.click(*self.spot(lab, 0.7, 0.3))
        th1, th2 = now(lab)
        assert abs(th1 - 0.7) < 0.006
        assert abs(th2 - 0.3) < 0.006
        settled(lab)
        assert in_kernel(lab) == (th1, th2)

    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    def test_a_drag_follows_and_stays_below_the_diagonal_of_one_map(self, lab, rule):
        choose(lab, "rule", rule)
        lab.page.locator(".fk-charts").wait_for()
        lab.page.mouse.move(*self.spot(lab, 0.6, 0.2))
        lab.page.mouse.down()
        lab.page.mouse.move(*self.spot(lab, 0.4, 0.8), steps=8)
        lab.page.mouse.up()
        th1, th2 = now(lab)
        assert abs(th1 - 0.4) < 0.006
        assert abs(th2 - (0.8 if rule == "per_scale" else th1)) < 0.02

    @pytest.mark.parametrize("rule", ["per_scale", "fused"])
    def test_the_best_point_is_that_of_the_surface(self, lab, runs, rule):
        choose(lab, "rule", rule)
        lab.page.locator(".fk-charts").wait_for()
        dataset = fk.load_dataset(runs[0].folder.parent / "scenes", "test")
        scales = [maps_of(runs)[sample.name] for sample in dataset]
        surface = fk.threshold_surface(
            [fk.fuse(own, own[0].shape) for own in scales], [s.mask for s in dataset], GRID, GRID,
            scale_maps=scales if rule == "per_scale" else None,
        )  # fmt: skip
        budget = 2e-3
        lab.page.locator("[data-name=budget]").fill("2000")
        button(lab, "best").click()
        th1, th2 = now(lab)
        best = surface.best(budget, ordered=rule == "fused")
        assert (th1, th2) == (best.th1, best.th2)
        lab.page.locator("[data-name=budget]").fill("100")

    def test_other_figures(self, lab):
        choice = lab.page.locator("[data-name=figure]")
        pictures = set()
        for name in ("score", "iou", "niou", "pd", "fa"):
            choice.select_option(name)
            lab.page.wait_for_timeout(60)
            pictures.add(lab.page.evaluate("document.querySelector('.fk-heat').toDataURL()"))
        choice.select_option("score")
        assert len(pictures) == 5

    def test_the_rule(self, lab, runs):
        lab.page.locator("[data-name=rule]").select_option("fused")
        lab.page.locator(".fk-charts").wait_for()
        settled(lab)
        assert tile(lab, "Pd") == f"{100 * found_at(runs, 0.5, 0.1, 'fused').pd:.2f}"
        assert lab.value("tuner.rule") == "fused"
        assert "fused map" in lab.page.locator(".fk-label").first.inner_text()
        lab.execute("tuner.rule = 'per_scale'")
        lab.page.locator(".fk-label").first.get_by_text("every scale").wait_for()
        settled(lab)
        assert tile(lab, "Pd") == f"{100 * found_at(runs, 0.5, 0.1).pd:.2f}"

    def test_labels_name_what_is_drawn(self, lab):
        field = lab.page.locator(".fk-field[data-name=th2]")
        field.fill("0.1234")
        field.press("Enter")
        settled(lab)
        assert "th2 = 0.125" in lab.page.locator(".fk-caption").last.inner_text()


class TestImages:
    def test_arrows_and_clicks(self, lab):
        lab.page.keyboard.press("ArrowRight")
        lab.page.keyboard.press("ArrowRight")
        headline = lab.page.locator(".fk-headline")
        headline.get_by_text("test_00002").wait_for()
        lab.page.keyboard.press("ArrowLeft")
        headline.get_by_text("test_00001").wait_for()
        lab.page.locator(".fk-row[data-index='5']").click()
        headline.get_by_text("test_00005").wait_for()

    @pytest.mark.parametrize("name", ["missed", "alarms"])
    def test_filters(self, lab, runs, name):
        dataset = fk.load_dataset(runs[0].folder.parent / "scenes", "test")
        scales = maps_of(runs)
        expected = []
        for index, sample in enumerate(dataset):
            own = scales[sample.name]
            fused = fk.fuse(own, own[0].shape)
            counts = fk.count(fk.adjust_sensitivity(fused, scale_maps=own).mask, sample.mask)
            if counts.detected < counts.targets if name == "missed" else counts.false_pixels:
                expected.append(index)
        lab.page.locator("[data-name=filter]").select_option(name)
        rows = lab.page.locator(".fk-row")
        shown = rows.evaluate_all("rows => rows.map((row) => Number(row.dataset.index))")
        lab.page.locator("[data-name=filter]").select_option("all")
        assert 0 < len(expected) < len(dataset)
        assert shown == expected

    def test_what_changes_between_two_thresholds(self, lab):
        button(lab, "pin").click()
        lab.page.locator("[data-name=filter]").select_option("changed")
        assert lab.page.locator(".fk-row").count() == 0
        drag(lab, "th1", 0.8)
        settled(lab)
        changed = lab.page.locator(".fk-row").count()
        lab.page.locator("[data-name=filter]").select_option("all")
        assert changed > 0

    def test_order(self, lab):
        lab.page.locator("[data-name=order]").select_option("missed")
        counts = lab.page.locator(".fk-count").all_inner_texts()
        missed = [int(total) - int(found) for found, total in (text.split("/") for text in counts)]
        lab.page.locator("[data-name=order]").select_option("index")
        assert missed == sorted(missed, reverse=True)
        assert missed[0] > 0

    def test_wheel_and_lenses_zoom(self, lab):
        zoom = "document.querySelector('.festkit-tuner').tuner.viewer.zoom.scale"
        first = lab.page.evaluate(zoom)
        canvas = lab.page.locator(".fk-main")
        canvas.hover()
        lab.page.mouse.wheel(0, -600)
        lab.page.wait_for_function(f"{zoom} > {first * 1.5}")
        canvas.dblclick()
        lab.page.wait_for_function(f"{zoom} === {first}")
        lab.page.locator(".fk-lenses").click(position={"x": 40, "y": 40})
        lab.page.wait_for_function(f"{zoom} > {first}")
        canvas.dblclick()

    def test_layers(self, lab):
        canvas = "document.querySelector('.fk-main').toDataURL()"
        for layer in ("heat", "strong", "weak", "truth", "marks"):
            before = lab.page.evaluate(canvas)
            toggle = lab.page.locator(f"[data-layer={layer}]")
            toggle.click()
            lab.page.wait_for_timeout(80)
            if layer not in ("strong", "weak"):  # the first image may have none
                assert lab.page.evaluate(canvas) != before, layer
            toggle.click()


class TestKeys:
    CONTEXT = "jupyterapp.shell.currentWidget.context"

    @pytest.mark.parametrize("place", [".fk-tuner", ".fk-field[data-name=th1]"])
    def test_ctrl_s_saves_the_notebook(self, lab, place):
        lab.page.evaluate(f"{self.CONTEXT}.model.dirty = true")
        lab.page.locator(place).focus()
        lab.page.keyboard.press("Control+s")
        lab.page.wait_for_function(f"!{self.CONTEXT}.model.dirty")

    def test_other_keys_are_not_those_of_the_notebook(self, lab):
        cells = f"{self.CONTEXT}.model.cells.length"
        before = lab.page.evaluate(cells)
        for key in ("b", "a", "d", "d"):
            lab.page.keyboard.press(key)
        assert lab.page.evaluate(cells) == before


class TestSaving:
    def test_save_writes_record_and_fest(self, lab, runs):
        drag(lab, "th1", 0.4)
        th1, th2 = now(lab)
        button(lab, "save").click()
        lab.page.locator(".fk-message").get_by_text("saved to record.json").wait_for()
        for run in runs:
            tuned = Run(run.folder).record["tuned"]
            assert (tuned["th1"], tuned["th2"], tuned["rule"]) == (th1, th2, "per_scale")
            assert tuned["pd"] == found_at(runs, th1, th2).pd
        fest = fk.FEST.load(fest_path(runs))
        assert (fest.th1, fest.th2) == (th1, th2)

    def test_no_click_is_lost_while_the_kernel_is_busy(self, lab, runs):
        record = runs[0].folder / "record.json"
        kept = []
        for k in range(10):
            lab.start(PAUSE.format(0.4))
            slider(lab, "th2").focus()
            lab.page.keyboard.press("ArrowRight")
            button(lab, "save").click()
            wanted = now(lab)
            text = f"{wanted[0]:g} / {wanted[1]:g} saved"
            lab.page.locator(".fk-message").get_by_text(text).wait_for()
            tuned = json.loads(record.read_text())["tuned"]
            kept.append(
                (tuned["th1"], tuned["th2"]) == wanted == (0.5, round(0.105 + 0.005 * k, 4))
            )
        assert kept == [True] * 10

    def test_the_page_goes_on_while_the_kernel_is_busy(self, lab, runs):
        lab.start(PAUSE.format(4))
        drag(lab, "th1", 0.75)
        th1, th2 = now(lab)
        lab.page.wait_for_timeout(100)
        seen, label = tile(lab, "Pd"), lab.page.locator(".fk-label").first.inner_text()
        status = "jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"
        assert lab.page.evaluate(status) == "busy"
        assert seen == f"{100 * found_at(runs, th1, th2).pd:.2f}"
        assert f"th1 {th1:.3f}" in label
        lab.wait_for_kernel("idle")
        settled(lab)
        assert in_kernel(lab) == (th1, th2)

    def test_code(self, lab, runs):
        button(lab, "copy").click()
        message = lab.page.locator(".fk-message")
        message.get_by_text("FEST.from_runs").wait_for()
        code = message.inner_text().split(":\n", 1)[1]
        names = {"image": np.zeros((96, 96), np.uint8)}
        exec(code, names)
        assert (names["fest"].th1, names["fest"].th2, names["fest"].rule) == (0.5, 0.1, "per_scale")
        assert names["detection"].mask.shape == (96, 96)


def test_themes_and_sizes(lab):
    for theme in ("light", "dark"):
        lab.set_theme(theme)
        lab.page.wait_for_timeout(300)
        ink, ground = lab.page.evaluate("""() => {
          const root = document.querySelector(".festkit-tuner");
          const parts = (text) => text.match(/\\d+/g).slice(0, 3).map(Number);
          const light = (text) => parts(text).reduce((a, b) => a + b, 0);
          const style = getComputedStyle(root);
          return [light(style.color), light(style.backgroundColor)];
        }""")
        assert abs(ink - ground) > 400
        lab.page.wait_for_function("""() => {
          const all = [...document.querySelectorAll(".festkit-tuner canvas:not(.fk-icon)")];
          const ratio = window.devicePixelRatio;
          const colours = (one) => new Set(
            one.getContext("2d").getImageData(0, 0, one.width, one.height).data,
          ).size;
          return all.every((one) => Math.abs(one.width - one.clientWidth * ratio) <= 1
            && colours(one) > 9);
        }""")
        assert lab.screenshot(f"tuner-lab-{theme}").stat().st_size > 0
    lab.set_theme("light")
