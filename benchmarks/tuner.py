"""From a slider's step to the painted frame, in JupyterLab: ``python -m benchmarks.tuner``.

Beside it, in the same notebook and run, what notebooks do otherwise: the kernel draws a matplotlib
figure, or sends a JPEG to an image widget. The floor is an empty frame after an empty frame, which
no page can undercut.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
import tyro
from playwright.sync_api import sync_playwright

from festkit._support.files import write_utf8
from tests.browser.conftest import CHROMIUM, FLAGS, opening
from tests.browser.pages import LabPage
from tests.browser.servers import lab_server

from .report import machine, write_section

SCENES = """
import cv2, ipywidgets, numpy as np, matplotlib.pyplot as plt, festkit as fk
from IPython.display import display

def scene(size, seed=0):
    rng = np.random.default_rng(seed)
    spots = np.zeros((size, size), np.float32)
    spots[tuple(rng.integers(8, size - 8, (2, 24)))] = rng.uniform(6, 24, 24)
    prob = np.clip(cv2.GaussianBlur(spots, (0, 0), 1.5) + rng.uniform(0, 0.01, spots.shape), 0, 1)
    return prob.astype(np.float32), prob > 0.25, (60 + 190 * prob).astype(np.uint8)
"""

OURS = """
prob, truth, gray = scene({size})
fk.ThresholdTuner([prob], [truth], [gray])
"""

OTHERS = """
def show(th1):
    found = fk.adjust_sensitivity(prob, th1, min(0.1, th1))
    figure, axes = plt.subplots(figsize=(6, 6))
    axes.imshow(gray, cmap="gray")
    axes.imshow(np.ma.masked_equal(found.mask, False), cmap="autumn", alpha=0.6)
    axes.set_title(f"th1 {{th1:.2f}}")  # every step has a picture of its own
    plt.show()

def jpeg(th1):
    found = fk.adjust_sensitivity(prob, th1, min(0.1, th1))
    picture = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    picture[found.mask] = 0, 160, 230
    cv2.putText(picture, f"th1 {{th1:.2f}}", (9, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,) * 3)
    return cv2.imencode(".jpg", picture)[1].tobytes()

def slider():
    return ipywidgets.FloatSlider(0.3, min=0.2, max=0.9, step=0.01)

first = slider()
drawn = ipywidgets.VBox([first, ipywidgets.interactive_output(show, {{"th1": first}})])
second, picture = slider(), ipywidgets.Image(value=jpeg(0.3), format="jpeg")
second.observe(lambda change: setattr(picture, "value", jpeg(change["new"])), "value")
sent = ipywidgets.VBox([second, picture])
display(drawn.add_class("case-drawn"), sent.add_class("case-sent"))
"""

STEP_OURS = """async (steps) => {
  const { tuner } = document.querySelector(".festkit-tuner");
  const slider = document.querySelector(".fk-slider[data-name=th1]");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const floor = [], ours = [];
  for (let k = 0; k < steps; k++) {
    let began = performance.now();
    await frame();
    await frame();
    floor.push(performance.now() - began);
    const before = tuner.painted;
    began = performance.now();
    slider.value = 3000 + 150 * (k % 30);
    slider.dispatchEvent(new Event("input"));
    while (tuner.painted === before) await frame();
    await frame();
    ours.push(performance.now() - began);
  }
  return [floor, ours];
}"""

STEP_OTHER = """async ({ place, steps }) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const picture = () => document.querySelector(`${place} img`);
  const handle = document.querySelector(`${place} .noUi-handle`);
  const times = [];
  for (let k = 0; k < steps; k++) {
    const before = picture().src;
    const began = performance.now();
    handle.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    while (!picture() || picture().src === before) await frame();
    await picture().decode();
    await frame();
    times.push(performance.now() - began);
  }
  return times;
}"""

HEAD = (
    "| image | kernel | floor, two frames [ms] | tuner [ms] | tuner / floor "
    "| matplotlib inline [ms] | Image + JPEG [ms] |"
)


def main(steps: int = 30, write: bool = False) -> None:
    """Time slider steps in JupyterLab, with the kernel idle and busy.

    Args:
        steps: of the slider, per figure.
        write: write the table to benchmarks/RESULTS.md, too.
    """
    lines = [
        *machine(torch.device("cpu"), 1),
        f"Medians of {steps} slider steps in JupyterLab and Chromium (no GPU), from the input "
        "event to the frame after the painted one. A busy kernel draws nothing, so the others have "
        "no figure there.",
        "",
        HEAD,
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with (
            lab_server(Path(folder)) as server,
            opening(LabPage, browser, server, "lab/workspaces/{stem}/tree/{name}", Path(folder))
            as open_lab,
        ):  # fmt: skip
            for size in (512, 1024):
                for row in rows(open_lab, size, steps):
                    print(row, flush=True)
                    lines.append(row)
        browser.close()
    if write:
        write_section("Tuner", lines)


def rows(open_lab: Any, size: int, steps: int) -> list[str]:
    """One row for the idle kernel, one for the busy one."""
    lab = open_lab([SCENES, OURS.format(size=size), OTHERS.format()])
    failed = lab.run_all(seconds=180)
    if failed:
        raise RuntimeError(f"the notebook failed: {failed}")
    lab.page.locator(".fk-charts").wait_for(timeout=180_000)
    lab.page.wait_for_timeout(1000)
    idle = lab.ask(STEP_OURS, steps, what="the tuner paints")
    others = [
        lab.ask(STEP_OTHER, {"place": f".case-{name}", "steps": steps}, what=f"it is {name}")
        for name in ("drawn", "sent")
    ]
    lab.start("import time; time.sleep(30)")
    busy = lab.ask(STEP_OURS, steps, what="the tuner paints while the kernel is busy")
    return [_row(size, "idle", *idle, *others), _row(size, "busy", *busy)]


def _row(
    size: int, kernel: str, floor: list[float], ours: list[float], *others: list[float]
) -> str:
    low, mid = statistics.median(floor), statistics.median(ours)
    rest = " | ".join(f"{statistics.median(each):.0f}" for each in others) or " | "
    return f"| {size}² | {kernel} | {low:.1f} | {mid:.1f} | {mid / low:.2f} | {rest} |"


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
