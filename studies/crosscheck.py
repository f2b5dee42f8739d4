"""Do other packages compute the same figures from the same maps? ``python -m studies.crosscheck``.

Installs pyirstdmetrics and pycocotools into a virtual environment of their own (they need an older
NumPy), evaluates one set of maps there and with festkit, and writes docs/crosscheck.md. Only the
public functions of both packages are called.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro

import festkit as fk
from festkit._support.files import write_text, write_utf8
from festkit._support.progress import progress
from festkit.metrics import ALL_METRICS, mask_boxes
from festkit.ops.components import binarize

PACKAGES = ("pyirstdmetrics==1.0.2", "pycocotools==2.0.11")

OTHERS = r"""
import contextlib, io, json, sys
import numpy as np
import py_irstd_metrics as other
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

arrays, boxes = np.load(sys.argv[1]), json.load(open(sys.argv[2]))
names = sorted({key[2:] for key in arrays.files})
pixels = other.CMMetrics(threshold=0.5, metric_handlers={
    "iou": other.IoUHandler(sample_based=False), "niou": other.IoUHandler(sample_based=True),
    "precision": other.PrecisionHandler(sample_based=False),
    "recall": other.RecallHandler(with_dynamic=False, with_binary=True, sample_based=False),
    "f1": other.FmeasureHandler(
        with_dynamic=False, with_binary=True, sample_based=False, beta=1.0)})
targets = {"pd, fa": other.ProbabilityDetectionAndFalseAlarmRate(num_bins=1)}
targets["distance"] = other.MatchingBasedMetrics(
    num_bins=1, matching_method=other.DistanceOnlyMatching())
targets["OPDC"] = other.MatchingBasedMetrics(num_bins=1)
for name in names:
    prob, mask = arrays["p/" + name], arrays["m/" + name]
    pixels.update(prob, mask)
    for each in targets.values():  # one bin: the threshold is passed as a mask
        each.update((prob > 0.5).astype(float), mask)
flat = lambda values: {k: np.ravel(v).tolist() for k, v in values.items()}
found = {"pixels": {k: np.ravel(v["binary"]).tolist() for k, v in pixels.get().items()}}
found |= {name: flat(each.get()) for name, each in targets.items()}
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = boxes["truth"]
    truth.createIndex()
    run = COCOeval(truth, truth.loadRes(boxes["found"]), "bbox")
    run.evaluate(); run.accumulate(); run.summarize()
found["ap50"] = float(run.stats[1])
print(json.dumps(found))
"""


def main(
    model: str = "nuaa-sirst/acm-512-eedm",
    dataset: str = "NUAA-SIRST",
    data_root: str | None = None,
    page: Path = Path("docs/crosscheck.md"),
) -> None:
    """Compute all figures twice and write the page.

    Args:
        model: whose maps are evaluated.
        dataset: of which the test list is taken.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        page: the Markdown file.
    """
    images = fk.load_dataset(dataset, "test", root=data_root)
    fest = fk.open_model(model, device="cpu")
    samples = {sample.name: sample for sample in progress(images, "reading", unit="image")}
    maps = {
        name: np.float32(np.rint(65535 * fest.probability(sample.image)) / 65535)
        for name, sample in progress(samples.items(), "mapping", unit="image", total=len(images))
    }
    masks = {name: sample.mask for name, sample in samples.items()}
    with TemporaryDirectory() as folder:
        np.savez(Path(folder) / "maps.npz", **maps)
        found = fk.evaluate_predictions(Path(folder) / "maps.npz", images)
        theirs = _others(Path(folder), maps, masks)
    ours = found.record["methods"]["maps"]["metrics"]
    rows = _rows(ours, theirs)
    write_text(page, _page(rows, theirs, ours, f"{model} on {len(images)} images of {dataset}"))
    largest = max(abs(a - b) for _, _, a, b in rows)
    print(f"wrote {page}; largest difference of a shared metric: {largest:.1e}")


def _others(folder: Path, maps: dict[str, Any], masks: dict[str, Any]) -> dict[str, Any]:
    """What the other packages compute, in their own virtual environment."""
    arrays = {f"p/{k}": v for k, v in maps.items()} | {f"m/{k}": v for k, v in masks.items()}
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "boxes.json").write_text(json.dumps(_coco(maps, masks)))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    command = [python, "-c", OTHERS, folder / "arrays.npz", folder / "boxes.json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _coco(maps: dict[str, Any], masks: dict[str, Any]) -> dict[str, Any]:
    """Boxes of masks and maps in the format of COCO."""
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, (name, prob) in enumerate(maps.items()):
        for given, rows in ((mask_boxes(masks[name]), truth), (_found(prob), found)):
            for (y0, x0, y1, x1), score in zip(given.box, given.score, strict=True):
                box = [x0, y0, x1 - x0, y1 - y0]
                row = {"id": len(rows) + 1, "image_id": number, "category_id": 1, "bbox": box}
                rows.append(row | {"score": score, "area": box[2] * box[3], "iscrowd": 0})
    images = [{"id": number} for number in range(len(maps))]
    whole = {"images": images, "annotations": truth, "categories": [{"id": 1}], "info": {}}
    return {"truth": whole, "found": found}


def _found(prob: Any) -> Any:
    return mask_boxes(binarize(prob, 0.5), prob)


def _rows(ours: dict[str, Any], theirs: dict[str, Any]) -> list[tuple[str, str, float, float]]:
    """Metric, package and both figures."""
    names = ("iou", "niou", "precision", "recall", "f1")
    rows = [
        (ALL_METRICS[name].title, "pyirstdmetrics", ours[name], theirs["pixels"][name][0])
        for name in names
    ]
    rates, matched = theirs["pd, fa"], theirs["distance"]
    rows += [
        ("Pd", "pyirstdmetrics", ours["pd"], rates["probability_detection"][0]),
        ("Fa", "pyirstdmetrics", ours["fa"], rates["false_alarm"][0]),
        ("hIoU, matched by distance", "pyirstdmetrics", ours["hiou"], matched["hiou"][0]),
        ("AP50", "pycocotools", ours["ap50"], theirs["ap50"]),
    ]
    return rows


def _page(rows: Any, theirs: dict[str, Any], ours: dict[str, Any], what: str) -> str:
    """The page."""
    hiou = theirs["OPDC"]["hiou"][0]
    lines = [
        f"| {name} | {package} | {a:.10f} | {b:.10f} | {abs(a - b):.0e} |"
        for name, package, a, b in rows
    ]
    return "\n".join([
        "# Cross-check with other packages",
        "",
        f"Written by `python -m studies.crosscheck`: the maps of {what}, above 0.5, evaluated by "
        f"festkit and by {' and '.join(PACKAGES)} in a virtual environment of their own.",
        "",
        "| metric | other package | festkit | other | difference |",
        "|:--|:--|--:|--:|--:|",
        *lines,
        "",
        f"pyirstdmetrics matches targets for its own hIoU by overlap first (OPDC): {hiou:.4f} "
        f"where matching by distance, as in festkit and in Pd and Fa, gives {ours['hiou']:.4f}. "
        "Name the matching with every hIoU.",
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
