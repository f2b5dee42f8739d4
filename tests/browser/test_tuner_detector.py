"""The tuner on the maps of a training-free detector, in JupyterLab."""

import pytest

import festkit as fk

READY = """() => {
  const tuner = document.querySelector(".festkit-tuner")?.tuner;
  return tuner && tuner.known.has(tuner.key) && !tuner.painting
    && tuner.list.rows[0].marks !== undefined;
}"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "scenes"
    return fk.make_synthetic_dataset(folder, train=1, test=4, size=128, preset="easy")


def test_pstnn(open_lab, scenes, artifacts):
    lab = open_lab([
        f"import festkit as fk\ntestset = fk.load_dataset({str(scenes)!r}, 'test')",
        "tuner = fk.ThresholdTuner.from_fest(fk.open_model('PSTNN'), testset)\ntuner",
    ])  # fmt: skip
    assert lab.run_all(seconds=180) == []
    lab.page.wait_for_function(READY, timeout=180_000)
    lab.page.locator(".fk-slider[data-name=th1]").press("ArrowLeft")
    lab.page.wait_for_function(READY)
    th1, th2 = lab.value("[tuner.th1, tuner.th2]")
    assert th1 < 0.5
    fest, dataset = fk.open_model("PSTNN"), fk.load_dataset(scenes, "test")
    fest.th1, fest.th2 = th1, th2
    expected = fest.evaluate(dataset)
    assert expected.detected > 0
    shown = lab.page.locator(".fk-tile[data-name^='IoU'] b").inner_text()
    assert shown.startswith(f"{100 * expected.iou:.2f}")
    lab.page.locator(".festkit-tuner").screenshot(path=artifacts / "tuner_pstnn.png")
    assert lab.errors == []
