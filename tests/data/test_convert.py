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
from festkit.data.weak import Shapes, read_coco, read_labels

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


def corners(x, y, w, h):
    return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]


def labelme(boxes, kind="rectangle"):
    points = [corners(*box)[2::-2] if kind == "rectangle" else corners(*box) for box in boxes]
    shapes = [{"label": "t", "shape_type": kind, "points": each} for each in points]
    return json.dumps({"version": "5", "shapes": shapes})


def labelme_polygons(boxes):
    return labelme(boxes, "polygon")


def coco(annotations):
    images = [{"id": k, "file_name": f"{name}.png"} for k, name in enumerate(BOXES)]
    return json.dumps({"images": images, "annotations": annotations})


def coco_boxes(of=lambda box: {"bbox": box}):
    each = [(k, box) for k, boxes in enumerate(BOXES.values()) for box in boxes]
    return coco([{"image_id": k} | of(box) for k, box in each])


def coco_polygons():
    return coco_boxes(lambda box: {"segmentation": [np.ravel(corners(*box)).tolist()]})


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


TOOLS = {
    "coco": ("images", None, coco_boxes),
    "coco polygons": ("images", None, coco_polygons),
    "yolo": ("images", "labels/{}.txt", yolo),
    "voc": ("JPEGImages", "Annotations/{}.xml", voc),
    "labelme": ("images", "images/{}.json", labelme),
    "labelme polygons": ("images", "images/{}.json", labelme_polygons),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.filterwarnings("ignore:.*weak masks, drawn from:UserWarning")
def test_labels_of_every_tool_become_the_same_dataset(tool, tmp_path):
    folder, (images, place, text) = tmp_path / "labelled", TOOLS[tool]
    save_images(folder / images)
    if place is None:
        write(folder / "labels.json", text())
    for name, boxes in BOXES.items() if place else ():
        write(folder / place.format(name), text(boxes))
    assert_same(masks_of(folder), true_masks())
    out = convert_dataset(folder, tmp_path / "drawn")
    assert_same(masks_of(out), true_masks())
    weak = "polygons" if "polygons" in tool else "boxes"
    assert open_folder(out).weak == weak
    with pytest.warns(UserWarning, match=f"drawn: weak masks, drawn from {weak}: IoU, nIoU and"):
        assert load_dataset(out, "all").weak_masks == weak
    assert "weak_masks" in [finding.code for finding in check_dataset(out).findings]


def test_polygons_mark_what_pycocotools_marks():
    """Rectangles to the pixel; of others, pycocotools rounds the sides to a fifth of a pixel."""
    coder = pytest.importorskip("pycocotools.mask")
    rng, size = np.random.default_rng(0), (HEIGHT, WIDTH)
    own, theirs = [], []
    for _ in range(200):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        points = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(1.5, 4, (7, 1))
        polygon = (points + rng.uniform(8, 16, 2)).ravel().tolist()
        own.append(Shapes((tuple(polygon),)).draw(size))
        theirs.append(coder.decode(coder.frPyObjects([polygon], *size))[..., 0] > 0)
    own, theirs = np.stack(own), np.stack(theirs)
    assert own.sum() == pytest.approx(theirs.sum(), rel=0.01)
    assert (own ^ theirs).sum() < 0.08 * theirs.sum()


def test_small_shapes_mark_the_pixel_that_holds_them():
    thin = Shapes(((4.6, 3.1, 4.9, 3.1, 4.9, 3.2),))
    assert np.argwhere(thin.draw((8, 8))).tolist() == [[3, 4]]
    for left in (0.5, 1.5):  # whichever way a half is rounded
        assert Shapes(((left, 2, 1, 1),)).draw((8, 8)).sum() == 1


def test_a_click_marks_the_pixel_under_it(tmp_path):
    point = {"shape_type": "point", "points": [[4.7, 3.2]]}
    write(tmp_path / "a.json", json.dumps({"shapes": [point]}))
    mask = read_labels(tmp_path / "a.json", "labelme").draw((8, 8))
    assert np.argwhere(mask).tolist() == [[3, 4]]


@pytest.mark.parametrize("polygon", [[4, 6, 7, 8], [4, 6, 7, 8, 9], [4, 6]])
def test_polygons_that_are_none_are_refused(polygon, tmp_path):
    """Four numbers are no box here."""
    write(tmp_path / "a.json", coco([{"image_id": 0, "segmentation": [polygon]}]))
    with pytest.raises(ValueError, match=r"damaged COCO JSON.*polygon of \d numbers"):
        read_coco(tmp_path / "a.json")


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


def test_an_image_without_a_label_file(tmp_path):
    save_images(tmp_path / "images")
    write(tmp_path / "labels" / "b.txt", yolo(BOXES["c"]))
    with pytest.raises(ValueError, match=r"labels.1 holds no file named a\.\*; write one without"):
        convert_dataset(tmp_path, tmp_path.with_name("drawn"))


def test_a_shape_that_is_not_read_is_named(tmp_path):
    save_images(tmp_path / "images")
    circle = {"shape_type": "circle", "points": [[3, 4], [5, 6]]}
    for name in BOXES:
        write(tmp_path / "images" / f"{name}.json", json.dumps({"shapes": [circle]}))
    with pytest.raises(ValueError, match=r"not a label file in labelme form: a circle of 2 points"):
        convert_dataset(tmp_path, tmp_path.with_name("drawn"))
