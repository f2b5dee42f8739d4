"""The tuner in Voila; what a notebook shows for bad input; and a page with the network off."""

import base64
import json
import re

import pytest
from smallbooks import shown_here

import festkit as fk
from festkit import run_notebook

from .tuner_cases import hand_made_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hand_made_run(tmp_path_factory.mktemp("runs"), images=4)[0]


def test_voila(open_voila, run):
    voila = open_voila(
        [f"import festkit as fk\nfk.ThresholdTuner.from_run({str(run.folder)!r}, th1=0.6)"]
    )
    page = voila.page
    page.locator(".fk-charts").wait_for(timeout=120_000)
    page.locator(".fk-slider[data-name=th1]").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("text=4 images at th1 0.595, th2 0.100").first.wait_for()
    page.locator(".fk-tile small").first.get_by_text("–").wait_for()  # the kernel's intervals
    page.locator("button[data-name=next]").click()
    page.locator(".fk-headline").get_by_text("test_00001").wait_for()
    page.locator("button[data-name=save]").click()
    page.locator("text=0.595 / 0.1 saved to record.json").wait_for()
    assert run.record["tuned"]["th1"] == 0.595
    voila.screenshot("tuner-voila")
    assert voila.errors == []


BAD = {
    "fk.ThresholdTuner([np.full((4, 4), 7.0)])": "runs from 7 to 7, expected probabilities in",
    "fk.ThresholdTuner([np.zeros((4, 4))], [np.zeros((5, 4), bool)])": "the mask is 5 × 4 px",
    "fk.ThresholdTuner([])": "no probability maps given; pass at least one map",
    "fk.ThresholdTuner.from_run('nowhere')": "nowhere holds no finished run",
    "fk.ThresholdTuner([np.zeros((4, 4))], th1=2)": "th1 is 2.0, expected a probability in",
}


def test_bad_input_is_said_in_the_notebook(open_lab):
    lab = open_lab(["import numpy as np, festkit as fk"])
    assert lab.run_all() == []
    for code, message in BAD.items():
        with pytest.raises(Exception, match=re.escape(message)):
            lab.execute(code)
    assert lab.page.locator(".festkit-tuner").count() == 0


def test_a_rule_from_python_before_the_first_surface_and_no_targets(open_lab):
    lab = open_lab(
        [
            "import numpy as np, festkit as fk\n"
            "one, two = np.zeros((2, 20, 24), np.float32)\n"
            "one[4, 4], two[9, 9] = 0.9, 0.3\n"
            "sets = [[one, two]] * 3\n"
            "tuner = fk.ThresholdTuner([one] * 3, [one > 1] * 3, scale_maps=sets)\n"
            "tuner",
            "tuner.rule = 'fused'; tuner.rule = 'per_scale'; tuner.rule = 'fused'",
        ]
    )
    assert lab.run_all() == []
    lab.page.locator(".fk-charts").wait_for(timeout=120_000)
    assert lab.page.locator("[data-name=rule]").input_value() == "fused"
    assert lab.page.locator(".fk-curve").is_hidden()
    lab.page.locator("button[data-name=best]").click()
    lab.page.locator(".fk-message").get_by_text("there are no true targets").wait_for()
    lab.page.locator(".fk-tile[data-name^=Fa] b").get_by_text("2083.33").wait_for()
    assert lab.errors == []


def test_a_damaged_image_is_said_in_the_page(open_lab, tmp_path):
    from PIL import Image  # noqa: PLC0415

    for name in "ab":
        Image.new("L", (20, 20), 90).save(tmp_path / f"{name}.png")
    folder = str(tmp_path)
    lab = open_lab(
        [
            "import pathlib, festkit as fk\n"
            f"tuner = fk.ThresholdTuner.from_folder({folder!r})\n"
            f"pathlib.Path({folder!r}, 'b.png').write_bytes(b'no picture')\n"
            "tuner"
        ]
    )
    lab.run_all()
    error = lab.page.locator(".fk-message.fk-error")
    headline = lab.page.locator(".fk-headline")
    error.get_by_text("cannot read image file").wait_for()  # the figures of the set need it
    lab.page.locator("button[data-name=next]").click()
    headline.get_by_text("b …").wait_for()
    assert lab.page.evaluate("document.querySelector('.festkit-tuner').tuner.result") is None
    lab.page.locator("button[data-name=previous]").click()
    headline.get_by_text("a 1 of 2").wait_for()
    assert lab.errors == []


def test_the_notebook_runs_headless_and_its_page_needs_no_network(
    browser, artifacts, run, tmp_path
):
    given = {"run": str(run.folder), "out": str(tmp_path / "work")}
    executed = run_notebook("04_threshold_tuner", given, tmp_path / "out")
    text = executed.read_text(encoding="utf-8")
    assert "widget-view" not in text
    assert "widget-state" not in text
    requests = []
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.on("request", lambda request: requests.append(request.url))
    page.context.set_offline(True)
    page.goto(executed.with_suffix(".html").as_uri())
    pictures = page.locator("img[src^='data:image/png']")
    sizes = pictures.evaluate_all("all => all.map((one) => [one.naturalWidth, one.complete])")
    pictures.last.screenshot(path=artifacts / "tuner-headless.png")
    png = base64.b64decode(pictures.last.get_attribute("src").split(",")[1])
    page.close()
    assert png.startswith(b"\x89PNG")
    assert sizes[-1][0] > 500
    assert sizes[-1][1] is True


def test_without_a_run_the_notebook_trains_on_scenes(run, tmp_path, monkeypatch, request):
    def instead(config):
        splits = [fk.load_dataset(config.dataset, split) for split in ("train", "test")]
        assert [len(split) for split in splits] == [40, 24]
        assert (config.size, config.folder) == (192, tmp_path / "192")
        return run

    if not request.config.getoption("--slow"):
        monkeypatch.setattr(fk, "train", instead)
    table = shown_here("04_threshold_tuner", {"out": str(tmp_path), "th1": 0.4, "th2": 0.2})
    assert "th1 0.4, th2 0.2" in str(table)  # whatever the run was tuned to before
    assert json.loads((tmp_path / "metrics.json").read_text())["schemes"]
