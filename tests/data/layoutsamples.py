"""A tiny copy of every layout of the field: 4 training, 2 test and, in some, 1 validation image.

Every image is 16 x 12 px and has one target of 2 x 2 px at column 3, row 4.
"""

import json
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 16, 12
BOX = (3, 4, 2, 2)  # x, y, width, height
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[4:6, 3:5] = 255
FRAMES = {
    "train": [("1", "0001"), ("1", "0002"), ("2", "0001"), ("2", "0002")],
    "test": [("3", "0001"), ("3", "0002")],
    "val": [("4", "0001")],
}


@dataclass(frozen=True)
class Sample:
    """What a layout looks like; {split}, {seq}, {frame} and {name} are filled in.

    ``words`` are what it calls the splits; ``labels`` writes labels that are no masks.
    """

    image: str
    mask: str = ""
    lists: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ("train", "test")
    labels: str = ""
    extra: tuple[str, ...] = ()
    by_split: dict[str, tuple[str, str]] = field(default_factory=dict)


PLAIN = {"image": "images/{name}.png", "mask": "masks/{name}.png"}
WITH_VAL = ("train", "test", "val")
SAMPLES = {
    "A1": Sample(**PLAIN, lists={"img_idx/{split}_NUAA-SIRST.txt": "{name}"}),
    "A2": Sample(**PLAIN, lists={"50_50/{split}.txt": "{name}"}),
    "A3": Sample(
        "images/{name}.png",
        "masks/{name}_pixels0.png",
        {"idx_427/{split}.txt": "{name}", "idx_320/{split}.txt": "{name}"},
        WITH_VAL,
    ),
    "A4": Sample(
        "images/targets/{name}.png",
        "annotations/masks/{name}_pixels0.png",
        {"splits/{split}_full.txt": "{name}", "splits/{split}_v1.txt": "{name}"},
        WITH_VAL,
        extra=("annotations/bboxes/01001.xml", "annotations/centroids/01001.xml"),
    ),
    "A5": Sample(
        "data/SIRSTdevkit/PNGImages/{name}.png",
        "data/SIRSTdevkit/SIRST/BinaryMask/{name}_pixels0.png",
        {f"data/SIRSTdevkit/Splits/{{split}}_v{v}.txt": "{name}" for v in (1, 2)},
        WITH_VAL,
        extra=("data/SIRSTdevkit/SIRST/BBox/01001.xml",),
    ),
    "A6": Sample("IRSTD1k_Img/{name}.png", "IRSTD1k_Label/{name}.png", {"{split}.txt": "{name}"}),
    "A7": Sample("{split}/images/{name}.png", "{split}/masks/{name}_mask.png"),
    "A8": Sample("dataset/SKY/{split}/image/{name}.png", "dataset/SKY/{split}/mask/{name}.png"),
    "A9": Sample(
        "",
        by_split={
            "train": ("training/{name}_1.png", "training/{name}_2.png"),
            "test": ("test_org/{name}.png", "test_gt/{name}.png"),
        },
    ),
    "A10": Sample(
        **PLAIN,
        lists={"img_idx/{split}_PRCV2024.txt": "{name}"},
        words=("train", "test", "validation"),
    ),
    "A11": Sample(
        "images/{name}.png", "labels/{name}.txt", {"{split}.txt": "{name}"}, labels="points"
    ),
    "A12": Sample(**PLAIN, lists={"img_idx/{split}_NUDT-SIRST-Sea.txt": "{name}"}),
    "A13": Sample(
        "images/{seq}/1({frame}).bmp",
        "masks/{seq}/1({frame}).bmp",
        {"img_idx/{split}_IRDST-real.txt": "/{seq}/1({frame})"},
        extra=("boxes/1/1(0001).txt", "center/1/1(0001).txt"),
    ),
    "A14": Sample("", "Target_mask/XDU{name}Target1.png"),
    "A15": Sample(
        "Data sets labels/Data set1/images/{name}.png",
        "Data sets labels/Data set1/{split}.json",
        labels="coco",
        extra=("Data sets labels/Data set1/anchors.xlsx",),
    ),
    "A16": Sample(
        "images/{name}.png",
        "labels/{name}.txt",
        {"{split}.txt": "images/{name}.png"},
        labels="yolo",
    ),
    "A17": Sample(
        "VOC2007/PNGImages/{name}.png",
        "VOC2007/Annotations/{name}.xml",
        {"VOC2007/ImageSets/Main/{split}.txt": "{name}"},
        ("trainval", "test"),
        "voc",
    ),
    "A18": Sample("{name}.png", "{name}_gt.png", {"{split}.txt": "{name}"}),
    "B1": Sample(
        "Sequence{seq}/images/{frame}.png",
        "Sequence{seq}/masks/{frame}.png",
        {"{split}.txt": "Sequence{seq}/Mix/{frame}.mat"},
        extra=("Sequence1/Mix/0001.mat",),
    ),
    "B2": Sample(
        "Sequence{seq}/images-Noise8.0_FJY(g0.15-o1.3)/{frame}.png",
        "Sequence{seq}/masks/{frame}.png",
        {"{split}.txt": "Sequence{seq}/Mix-Noise8.0_FJY(g0.15-o1.3)/{frame}.mat"},
    ),
    "B3": Sample(
        "{split}/00000{seq}/img/00{frame}.png",
        "{split}/00000{seq}/mask/00{frame}.png",
        words=WITH_VAL,
    ),
    "B4": Sample(
        "images/{seq}/{frame}.png",
        "masks/{seq}/{frame}.png",
        {"video_idx/{split}.txt": "{seq}", "img_idx/{seq}.txt": "{frame}"},
    ),
    "B5": Sample(
        "images/{seq}/{frame}.png",
        "{split}_coco.json",
        {"{split}.txt": "{seq}"},
        labels="coco",
        extra=("labels/1/0001.txt",),
    ),
    "B6": Sample(
        "images/{seq}/{frame}.png",
        "masks/{seq}/{frame}.png",
        {"{split}.txt": "{seq}"},
        WITH_VAL,
        extra=("boxes/1/0001.txt", "center/1/0001.txt"),
    ),
    "B7": Sample(
        "{split}/{seq}/{frame}.jpg", "{split}/{seq}/IR_label.json", words=WITH_VAL, labels="rects"
    ),
}


def make_sample(folder, code):
    """Write the tiny copy of a layout, and return its image files by split."""
    sample, images = SAMPLES[code], {}
    lines, labelled = {}, {}
    for (split, frames), word in zip(FRAMES.items(), sample.words, strict=False):
        image, mask = sample.by_split.get(split, (sample.image, sample.mask))
        images[split] = []
        for seq, frame in frames:
            values = {"split": word, "seq": seq, "frame": frame, "name": f"0{seq}{frame[1:]}"}
            if image:
                path = folder / image.format(**values)
                save(path, _scene(int(seq + frame)))
                images[split].append(path)
            if not sample.labels:
                save(folder / mask.format(**values), MASK)
            else:
                folder_name = f"{seq}/" * ("images/{seq}" in image)
                labelled.setdefault(mask.format(**values), []).append(folder_name + path.name)
            for place, line in sample.lists.items():
                listed = lines.setdefault(place.format(**values), [])
                listed += [text for text in [line.format(**values)] if text not in listed]
    for place, listed in lines.items():
        write(folder / place, "\n".join(listed))  # without a newline at the end, as SIRST-V2
    for place, names in labelled.items():
        write(folder / place, _LABELS[sample.labels](names))
    for place in sample.extra:
        write(folder / place, "")
    return images


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _scene(seed):
    return np.random.default_rng(seed).integers(60, 120, MASK.shape).astype(np.uint8)


def coco(names, box=BOX):
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    labels = [{"image_id": number, "bbox": list(box)} for number in range(len(names))]
    return json.dumps({"images": images, "annotations": labels})


def yolo(_=(), box=BOX):
    x, y, width, height = box
    centre = (x + width / 2) / WIDTH, (y + height / 2) / HEIGHT
    return f"0 {centre[0]} {centre[1]} {width / WIDTH} {height / HEIGHT}\n"


def voc(_=(), box=BOX):
    x, y, width, height = box
    corners = zip(("xmin", "ymin", "xmax", "ymax"), (x, y, x + width, y + height), strict=True)
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in corners)
    return f"<annotation><object><name>Target</name><bndbox>{inside}</bndbox></object></annotation>"


def points(_=(), box=BOX):
    return "{} {}\n".format(*box)


def rects(names, box=BOX):
    return json.dumps({"exist": [1] * len(names), "gt_rect": [list(box)] * len(names)})


_LABELS = {"coco": coco, "yolo": yolo, "voc": voc, "points": points, "rects": rects}
