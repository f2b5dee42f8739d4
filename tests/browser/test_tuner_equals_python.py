"""What the page shows is what Python finds: the mask to the pixel, weak centroids, counts."""

from pathlib import Path

import numpy as np
import pytest

import festkit as fk
from festkit.ops.components import find_components

from . import tuner_cases

OPEN = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent.parent)!r}]
import festkit as fk
from browser import tuner_cases
"""

SINGLE = """
cases = tuner_cases.single_maps()
fk.ThresholdTuner({name: case[0] for name, case in cases.items()},
                  {name: case[1] for name, case in cases.items()})
"""

SCALES = """
cases = tuner_cases.scale_maps()
fk.ThresholdTuner({name: tuner_cases.fused(case[0]) for name, case in cases.items()},
                  {name: case[1] for name, case in cases.items()},
                  scale_maps={name: case[0] for name, case in cases.items()})
"""

LOOK = """async ({ place, index, th1, th2, rule }) => {
  const { tuner } = document.querySelectorAll(".festkit-tuner")[place];
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const { steps } = tuner.setup;
  const wanted = [Math.round(th1 * steps), Math.round(th2 * steps)];
  tuner.rule = rule;
  tuner.show(index);
  tuner.set(...wanted, true);
  clearTimeout(tuner.scheduled); // the metrics of the set are not needed here
  for (let frames = 0; ; frames++) {
    await frame();
    if (frames > 600) throw new Error(`never painted: ${tuner.key}, image ${tuner.image?.index}`);
    const { image, result, painting, stale } = tuner;
    if (!painting && !stale && image?.index === index && result.th1 === wanted[0]
        && result.th2 === wanted[1] && result.rule === rule) break;
  }
  const { image, result, viewer } = tuner;
  const painted = viewer.paint.getContext("2d").getImageData(0, 0, image.width, image.height).data;
  const where = (values, value) => [...values.keys()].filter((k) => values[k] === value);
  return {
    name: image.name,
    shape: [image.height, image.width],
    strong: where(result.mask, 1),
    lone: where(result.mask, 2),
    painted: where(painted.filter((_, k) => k % 4 === 3).map((alpha) => (alpha ? 1 : 0)), 1),
    weak: result.weak.map((part) => [part.row, part.column]),
    counts: result.counts,
  };
}"""


@pytest.fixture(scope="module")
def lab(open_lab_for_module):
    """A notebook with two tuners: of single maps, and of several scales."""
    lab = open_lab_for_module([OPEN, SINGLE, SCALES])
    assert lab.run_all() == []
    lab.page.locator(".festkit-tuner").nth(1).wait_for()
    yield lab
    assert lab.errors == []


def check(lab, index, name, found, truth, *, pair, rule, place=0):
    wanted = {"place": place, "index": index, "th1": pair[0], "th2": pair[1], "rule": rule}
    seen = lab.page.evaluate(LOOK, wanted)
    assert (seen["name"], seen["shape"]) == (name, list(truth.shape))
    assert seen["strong"] == np.flatnonzero(found.strong).tolist()
    assert seen["lone"] == np.flatnonzero(found.mask & ~found.strong).tolist()
    assert seen["painted"] == seen["strong"]
    assert seen["weak"] == found.weak.tolist()
    counts = fk.count(found.mask, truth)
    assert seen["counts"] == {key: getattr(counts, key) for key in seen["counts"]}


@pytest.mark.filterwarnings("ignore:th2 = .* is not below")
def test_single_maps(lab):
    cases = tuner_cases.single_maps()
    pairs = 0
    for index, (name, (prob, truth, thresholds)) in enumerate(cases.items()):
        for pair in thresholds:
            found = fk.adjust_sensitivity(prob, *pair)
            check(lab, index, name, found, truth, pair=pair, rule="fused")
            pairs += 1
    print(f"{len(cases)} maps, {pairs} pairs of map and thresholds")
    assert len(cases) >= 50


@pytest.mark.filterwarnings("ignore:th2 = .* is not below")
def test_scale_maps(lab):
    cases = tuner_cases.scale_maps()
    for index, (name, (maps, truth, thresholds)) in enumerate(cases.items()):
        for pair in thresholds:
            prob = tuner_cases.fused(maps)
            found = fk.adjust_sensitivity(prob, *pair, scale_maps=maps)
            check(lab, index, name, found, truth, pair=pair, rule="per_scale", place=1)
            found = fk.adjust_sensitivity(prob, *pair)
            check(lab, index, name, found, truth, pair=pair, rule="fused", place=1)


@pytest.mark.filterwarnings("ignore:th2 = .* is not below")
def test_components_of_the_page_alone(browser):
    """The page's JavaScript without widget and kernel, against Python and the goldens."""
    from festkit.tuner.charts import STEPS, ticks  # noqa: PLC0415
    from festkit.tuner.widget import PAGE  # noqa: PLC0415

    page = browser.new_page()
    page.add_script_tag(content=(PAGE / "detect.js").read_text(encoding="utf-8"))
    script = """({ values, width, height, floor }) =>
      findComponents(Uint16Array.from(values), floor, width, height, makeScratch(values.length))
        .map(({ first, area, sumY, sumX, peak, box }) => [first, area, sumY, sumX, peak, ...box])"""
    for prob, _, thresholds in tuner_cases.single_maps().values():
        height, width = prob.shape
        if prob.size > 10_000:  # as long lists of numbers these take their time
            continue
        level = ticks(prob)
        for floor in {round(t * STEPS) for pair in thresholds for t in pair}:
            given = {"values": level.ravel().tolist(), "width": width, "height": height}
            found = find_components(level.astype(np.float32), floor)
            columns = (found.first, found.area, found.sum_y, found.sum_x, found.peak, *found.box.T)
            expected = np.array(columns).T.tolist()
            assert page.evaluate(script, given | {"floor": floor}) == expected
    page.close()
