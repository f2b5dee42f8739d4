"""Take the README's picture of the tuner: ``python docs/tuner_screenshot.py [RUN ...]``.

A real JupyterLab, a real Chromium; without runs, the shipped weights of ACM on synthetic scenes.
The image shown is the first on which the default thresholds go wrong in most ways.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "tests")]

import festkit as fk  # noqa: E402
from festkit.tables.maps import SCENES, shipped_run  # noqa: E402
from tests.browser.conftest import CHROMIUM, FLAGS, opening  # noqa: E402
from tests.browser.pages import LabPage  # noqa: E402
from tests.browser.servers import lab_server  # noqa: E402

PICK = """() => {
  const { tuner } = document.querySelector(".festkit-tuner");
  const ways = (row) => [row.missed, row.falsePixels, row.strong, row.weak]
    .filter((number) => number > 0).length;
  const [best] = [...tuner.list.rows].sort((a, b) => ways(b) - ways(a));
  tuner.show(best.index);
}"""


def shipped(out: Path) -> list[str]:
    """Runs of ACM's two shipped sizes on the scenes of the notebooks."""
    scenes = fk.make_synthetic_dataset(out / "scenes", seed=0, **SCENES)
    entries = [f"nuaa-sirst/acm-{size}-eedm" for size in (512, 768)]
    return [str(shipped_run(entry, scenes, out).folder) for entry in entries]


def main(runs: list[str]) -> None:
    """Take the picture."""
    runs = runs or shipped(DOCS.parent / "runs" / "tuner_screenshot")
    paths = ", ".join(repr(str(Path(run).resolve())) for run in runs)
    cells = ["import festkit as fk", f"fk.ThresholdTuner.from_run({paths}, th1=0.5, th2=0.1)"]
    place = "lab/workspaces/{stem}/tree/{name}"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with (
            lab_server(Path(folder)) as server,
            opening(LabPage, browser, server, place, Path(folder)) as open_lab,
        ):
            lab = open_lab(cells, viewport={"width": 1280, "height": 800}, device_scale_factor=1.5)
            failed = lab.run_all(seconds=180)
            if failed:
                raise RuntimeError(f"the notebook failed: {failed}")
            lab.page.locator(".fk-charts").wait_for(timeout=180_000)
            lab.page.wait_for_function(
                "document.querySelector('.festkit-tuner').tuner.list.rows[0].marks !== undefined"
            )
            lab.page.evaluate(PICK)
            lab.page.wait_for_timeout(1500)
            lab.page.locator(".festkit-tuner").screenshot(path=DOCS / "tuner.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
