"""Labels of every tool become the same dataset of images and masks."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from festkit.data.check import check_dataset
from festkit.data.convert import convert_dataset
from festkit.data.dataset import load_dataset
from festkit.data.folders import open_folder

HEIGHT, WIDTH = 24, 32
BOXES = {"1/a": [(4, 6, 3, 2), (20, 10, 5, 4)], "b": [], "c": [(0, 0, 2, 2)]}
"""Left, top, width and height."""


def voc(boxes):
    corners = (
        f"<object><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax>"
        f"<ymax>{y + h}</ymax></bndbox></object>"
        for x, y, w, h in boxes
    )
    return f"<annotation>{''.join(corners)}</annotation>"


def yolo(boxes):
    rows = (
        f"0 {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n"
        for x, y, w, h in boxes
    )
    return "".join(rows)


def labelme(boxes):
    shapes = [
        {"label": "t", "shape_type": "rectangle", "points": [[x + w, y + h], [x, y]]}
        for x, y, w, h in boxes
    ]
    return json.dumps({"version": "5", "shapes": shapes})


def coco(annotations):
    images = [{"id": k, "file_name": f"{name}.png"} for k, name in enumerate(BOXES)]
    return json.dumps({"images": images, "annotations": annotations})


def coco_boxes():
    each = [(k, box) for k, boxes in enumerate(BOXES.values()) for box in boxes]
    return coco([{"image_id": k, "bbox": list(box)} for k, box in each])


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def save_images(folder):
    for number, name in enumerate(BOXES):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = np.random.default_rng(number).integers(60, 90, (HEIGHT, WIDTH), np.uint8)
        Image.fromarray(levels).save(path)


def true_masks():
    masks = {name: np.zeros((HEIGHT, WIDTH), bool) for name in BOXES}
    for name, boxes in BOXES.items():
        for x, y, w, h in boxes:
            masks[name][y : y + h, x : x + w] = True
    return masks


def masks_of(folder):
    return {s.name: s.mask for s in load_dataset(folder, "all")}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, mask in expected.items():
        assert (found[name] == mask).all(), name


@pytest.mark.parametrize("tool", ["coco", "yolo", "voc", "labelme"])
@pytest.mark.filterwarnings("ignore:.*weak masks, drawn from boxes:UserWarning")
def test_boxes_of_every_tool_become_the_same_dataset(tool, tmp_path):
    folder = tmp_path / "labelled"
    save_images(folder / ("JPEGImages" if tool == "voc" else "images"))
    if tool == "coco":
        write(folder / "labels.json", coco_boxes())
    for name, boxes in BOXES.items() if tool != "coco" else ():
        place, text, suffix = {
            "yolo": ("labels", yolo, "txt"),
            "voc": ("Annotations", voc, "xml"),
            "labelme": ("images", labelme, "json"),
        }[tool]
        write(folder / place / f"{name}.{suffix}", text(boxes))
    assert_same(masks_of(folder), true_masks())
    out = convert_dataset(folder, tmp_path / "drawn")
    assert_same(masks_of(out), true_masks())
    assert open_folder(out).weak == "boxes"
    with pytest.warns(UserWarning, match="drawn: weak masks, drawn from boxes: IoU, nIoU and Fa"):
        assert load_dataset(out, "all").weak_masks == "boxes"
    assert "weak_masks" in [finding.code for finding in check_dataset(out).findings]


@pytest.mark.parametrize("packed", [False, True])
def test_regions_of_coco_are_exact(packed, tmp_path):
    masks = true_masks()
    masks["c"][5, 3] = masks["c"][6, 4] = masks["c"][23, 31] = True
    labels = []
    for number, mask in enumerate(masks.values()):
        flat = np.concatenate([[0], mask.ravel(order="F"), [0]]).astype(int)
        starts, ends = np.flatnonzero(np.diff(flat) > 0), np.flatnonzero(np.diff(flat) < 0)
        edges = np.stack([starts, ends], axis=1).ravel()
        counts = np.diff([0, *edges, mask.size]).tolist()
        if packed:
            coder = pytest.importorskip("pycocotools.mask")
            counts = coder.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        region = {"size": [HEIGHT, WIDTH], "counts": counts}
        labels.append({"image_id": number, "segmentation": region})
    save_images(tmp_path / "set" / "images")
    write(tmp_path / "set" / "labels.json", coco(labels))
    with warnings.catch_warnings(action="error"):  # exact, so not weak
        out = convert_dataset(tmp_path / "set", tmp_path / "drawn")
        assert_same(masks_of(out), masks)
    assert not list(out.rglob("weak.txt"))


def test_a_shape_that_is_not_read_is_named(tmp_path):
    save_images(tmp_path / "images")
    circle = {"shape_type": "circle", "points": [[3, 4], [5, 6]]}
    for name in BOXES:
        write(tmp_path / "images" / f"{name}.json", json.dumps({"shapes": [circle]}))
    with pytest.raises(ValueError, match=r"not a label file in labelme form: a circle of 2 points"):
        convert_dataset(tmp_path, tmp_path.with_name("drawn"))
