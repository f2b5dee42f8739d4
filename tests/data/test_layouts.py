"""Every layout of the field, from a tiny copy: recognised, counted, its mismatches counted."""

import json
import re

import numpy as np
import pytest
from handmade import make_set
from layoutsamples import (
    BOX,
    MASK,
    SAMPLES,
    coco,
    make_sample,
    points,
    rects,
    save,
    voc,
    write,
    yolo,
)
from tinyrun import tiny

from festkit import training
from festkit._support.files import read_json
from festkit.cli.main import main
from festkit.data.check import check_dataset
from festkit.data.dataset import load_dataset
from festkit.data.folders import open_folder
from festkit.data.layouts import LAYOUTS
from festkit.data.splitting import split_dataset

WEAK = {
    "A11": "points",
    "A15": "boxes",
    "A16": "boxes",
    "A17": "boxes",
    "B5": "boxes",
    "B7": "boxes",
}
MASKED = sorted(set(SAMPLES) - set(WEAK) - {"A14"})
SEQUENCES = ["A13", "B1", "B2", "B4", "B5", "B6"]  # one list over all sequences

pytestmark = pytest.mark.filterwarnings("ignore:.*weak masks, drawn from:UserWarning")


def test_all_25_layouts_have_a_sample():
    codes = {f"A{number}" for number in range(1, 19)} | {f"B{number}" for number in range(1, 8)}
    assert set(SAMPLES) == codes == {layout.code for layout in LAYOUTS} - {""}


@pytest.mark.parametrize("code", sorted(set(SAMPLES) - {"A14"}))
def test_recognised_counted_and_read(tmp_path, code):
    images = make_sample(tmp_path, code)
    report = check_dataset(tmp_path)
    assert report.layout.startswith(f"{code} ")
    assert report.faults == ()
    counts = {split: part.images for split, part in report.splits.items() if split != "all"}
    assert counts == {split: len(paths) for split, paths in images.items()}
    assert report.splits["all"].targets == sum(map(len, images.values()))
    for split, paths in images.items():
        dataset = load_dataset(tmp_path, split)
        assert [pair.image for pair in dataset.pairs] == paths
        for sample in dataset:
            expected = MASK > 0
            if code == "A11":  # a point marks one pixel
                expected = np.zeros_like(expected)
                expected[BOX[1], BOX[0]] = True
            np.testing.assert_array_equal(sample.mask, expected)


def test_masks_without_images(tmp_path):
    make_sample(tmp_path, "A14")
    report = check_dataset(tmp_path)
    assert report.layout.startswith("A14 SAM-SPL target crops: Target_mask/")
    assert report.faults == ("the folder holds no image",)
    assert len(report.names_of("lone_masks")) == 6
    with pytest.raises(ValueError, match="holds no images, only 6 masks or labels"):
        load_dataset(tmp_path, "train")


@pytest.mark.parametrize("code", MASKED)
def test_mismatches_of_every_kind_are_counted(tmp_path, code):
    make_sample(tmp_path, code)
    first, second, third, fourth = open_folder(tmp_path).splits["train"]
    first.mask.unlink()
    save(second.mask, np.zeros((12, 40), np.uint8) + 255)
    save(third.mask, np.zeros_like(MASK))
    save(fourth.mask.with_name(fourth.mask.name.replace(fourth.mask.stem[:5], "lone9")), MASK)
    write(fourth.image.with_name("frame.gif"), "GIF")
    if not code.startswith("B") or code in ("B4", "B6"):
        (last,) = open_folder(tmp_path).splits["test"][1:]
        last.image.unlink()
    report = check_dataset(tmp_path)
    assert [len(report.names_of(name)) for name in ("missing_masks", "mismatched_pairs")] == [1, 1]
    assert len(report.names_of("empty_masks")) == 1
    assert any(path.endswith("frame.gif") for path in report.names_of("passed_over"))
    lone = report.names_of("lone_masks")
    assert any("lone9" in name for name in lone)
    assert report.splits["train"].images == 4


def test_labels_that_do_not_fit_are_counted(tmp_path):
    make_sample(tmp_path / "A16", "A16")
    (tmp_path / "A16" / "labels" / "01001.txt").unlink()
    write(tmp_path / "A16" / "labels" / "09999.txt", yolo())
    write(tmp_path / "A16" / "labels" / "01002.txt", "")
    report = check_dataset(tmp_path / "A16")
    assert report.names_of("missing_masks") == ("01001",)
    assert report.names_of("lone_masks") == ("09999.txt",)
    assert report.names_of("empty_masks") == ("01002",)
    make_sample(tmp_path / "B7", "B7")
    write(tmp_path / "B7" / "train" / "1" / "IR_label.json", rects(["one"]))
    write(tmp_path / "B7" / "test" / "3" / "IR_label.json", rects(["one", "two", "three"]))
    report = check_dataset(tmp_path / "B7")
    assert report.names_of("missing_masks") == ("1/0002",)
    assert report.names_of("lone_masks") == ("IR_label.json: entry 3",)
    make_sample(tmp_path / "B5", "B5")
    write(tmp_path / "B5" / "test_coco.json", coco(["3/0001.png", "3/0007.png"]))
    write(tmp_path / "B5" / "train_coco.json", coco(["1/0001.png", "1/0002.png", "2/0001.png"]))
    report = check_dataset(tmp_path / "B5")
    assert report.names_of("missing_masks") == ("2/0002", "3/0002")
    assert report.names_of("lone_masks") == ("test_coco.json: 3/0007",)


@pytest.mark.parametrize("code", WEAK)
def test_drawn_masks_are_said_to_be_weak(tmp_path, code):
    make_sample(tmp_path, code)
    said = f"weak masks, drawn from {WEAK[code]}: IoU, nIoU and Fa measure these, not the targets"
    assert said in check_dataset(tmp_path).notes
    with pytest.warns(UserWarning, match=said):
        dataset = load_dataset(tmp_path, "train")
    assert dataset.weak_masks == WEAK[code]


@pytest.mark.parametrize(
    ("code", "place", "text", "message"),
    [
        ("A16", "labels/01001.txt", "0 0.5 0.5 nan 0.1", "is not a label file in yolo form: line"),
        ("A16", "labels/01001.txt", "0 3 4 2 2", r"yolo form: .*expected fractions"),
        ("A11", "labels/01001.txt", "3 x", "is not a label file in points form"),
        ("A17", "VOC2007/Annotations/01001.xml", "<annotation><object>", "in voc form"),
        ("A17", "VOC2007/Annotations/01001.xml", "<a><bndbox/></a>", "in voc form"),
        ("B7", "train/1/IR_label.json", "{", "holds no exist and gt_rect"),
        ("B7", "train/1/IR_label.json", '{"exist": [1], "gt_rect": []}', "of one length"),
        ("B5", "train_coco.json", '{"images": [{}], "annotations": []}', "is a damaged COCO JSON"),
        ("B5", "train_coco.json", coco(["../../etc/passwd"]), "is outside the dataset folder"),
    ],
)
def test_bad_labels(tmp_path, code, place, text, message):
    make_sample(tmp_path, code)
    write(tmp_path / place, text)
    with pytest.raises(ValueError, match=message):
        load_dataset(tmp_path, "train")


@pytest.mark.parametrize(
    ("code", "place", "form"),
    [
        ("A11", "labels/01001.txt", points),
        ("A17", "VOC2007/Annotations/01001.xml", voc),
    ],
)
def test_a_label_outside_its_image(tmp_path, code, place, form):
    make_sample(tmp_path, code)
    write(tmp_path / place, form(box=(30, 2, 4, 4)))
    with pytest.raises(ValueError, match=r"01001: label \(30, 2.* is outside its image of 16 × 12"):
        list(load_dataset(tmp_path, "train"))
    assert len(check_dataset(tmp_path).names_of("unreadable")) == 1


def test_polygons_are_drawn(tmp_path):
    make_sample(tmp_path, "A15")
    path = tmp_path / "Data sets labels/Data set1/train.json"
    content = json.loads(path.read_text())
    for label in content["annotations"]:
        label["segmentation"] = [[2, 2, 6, 2, 2, 6]]
    write(path, json.dumps(content))
    dataset = load_dataset(tmp_path, "train")
    assert dataset.weak_masks == "polygons"
    rows = dataset[0].mask.sum(axis=1)
    assert rows.tolist() == [0, 0, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0]


def test_of_several_places_and_lists_the_first_is_used(tmp_path):
    images = make_sample(tmp_path, "A4")
    for path in images["train"][:2]:
        save(tmp_path / "mixed" / path.name, MASK)
    write(tmp_path / "splits" / "test_full.txt", "03001")
    assert [pair.image.parent.name for pair in load_dataset(tmp_path, "train").pairs] == [
        "mixed",
        "mixed",
        "targets",
        "targets",
    ]
    assert load_dataset(tmp_path, "test").names == ("03001",)
    report = check_dataset(tmp_path)
    assert report.names_of("passed_over") == (
        "images/targets/01001.png",
        "images/targets/01002.png",
    )
    assert report.layout.endswith("splits/train_full.txt splits/val_full.txt splits/test_full.txt")


@pytest.mark.parametrize("end", ["", "_pixels0", "_mask", "_gt", "_label"])
def test_mask_names(tmp_path, end):
    for name in ("a", "b_mask"):  # an image may be called so
        save(tmp_path / "images" / f"{name}.png", MASK)
        save(tmp_path / "masks" / f"{name}{end}.png", MASK)
    assert [pair.mask.name for pair in load_dataset(tmp_path, "all").pairs] == [
        f"a{end}.png",
        f"b_mask{end}.png",
    ]
    assert check_dataset(tmp_path).names_of("lone_masks") == ()


def test_two_masks_of_one_image(tmp_path):
    for place in ("images/a", "masks/a_mask", "masks/a_gt"):
        save(tmp_path / f"{place}.png", MASK)
    with pytest.raises(ValueError, match=r"two files named a: a_mask\.png and a_gt\.png"):
        load_dataset(tmp_path, "all")


@pytest.mark.parametrize("code", SEQUENCES)
def test_a_split_never_cuts_a_sequence(tmp_path, code):
    images = make_sample(tmp_path, code)
    for path in tmp_path.rglob("*.txt"):
        path.unlink()
    for path in tmp_path.rglob("*_coco.json"):
        path.rename(path.with_name(path.name.replace("train", "one").replace("test", "two")))
    split_dataset(tmp_path, test=0.3)
    splits = {split: load_dataset(tmp_path, split).names for split in ("train", "test")}
    sequences = {split: {name.split("/")[0] for name in names} for split, names in splits.items()}
    assert sequences["train"].isdisjoint(sequences["test"])
    assert len(splits["test"]) == 2
    assert len(splits["train"]) == sum(map(len, images.values())) - 2
    assert "cut_sequences" not in {each.code for each in check_dataset(tmp_path).findings}


def test_lists_that_cut_a_sequence_are_a_fault(tmp_path):
    make_sample(tmp_path, "A13")
    write(tmp_path / "img_idx" / "test_IRDST-real.txt", "/2/1(0001)\n/3/1(0001)\n")
    write(tmp_path / "img_idx" / "train_IRDST-real.txt", "/1/1(0001)\n/2/1(0002)\n")
    assert check_dataset(tmp_path).names_of("cut_sequences") == ("2",)


def test_one_sequence_alone_cannot_be_split(tmp_path):
    for frame in "abcd":
        for place in ("images", "masks"):
            save(tmp_path / place / "1" / f"{frame}.png", MASK)
    with pytest.raises(ValueError, match=r"leaves a split empty; .*one sequence"):
        split_dataset(tmp_path)


def test_several_datasets_in_one_folder(tmp_path):
    make_sample(tmp_path, "A8")
    for split in ("train", "test"):
        for kind in ("image", "mask"):
            save(tmp_path / "dataset" / "SEA" / split / kind / "a.png", MASK)
    with pytest.raises(ValueError, match=r"holds several datasets; choose one of .*SEA, .*SKY"):
        load_dataset(tmp_path, "train")
    assert len(load_dataset(tmp_path / "dataset" / "SKY", "train")) == 4


def test_a_full_w_irstd_folder_without_lists(tmp_path):
    for name in ("00001", "08999", "09000"):
        for place in ("images", "masks"):
            save(tmp_path / place / f"{name}.png", MASK)
    assert check_dataset(tmp_path).layout == "A10 W-IRSTD (WideIRSTD-Full): images/ masks/"
    assert len(load_dataset(tmp_path, "all")) == 3


def test_masks_that_are_all_rectangles(tmp_path):
    for number in range(20):
        mask = np.zeros_like(MASK)
        mask[1:5, 1 : 4 + number % 3] = 255
        save(tmp_path / "images" / f"{number}.png", mask // 2 + np.uint8(number))
        save(tmp_path / "masks" / f"{number}.png", mask)
    said = "weak masks, drawn from boxes, it seems: all 20 targets of more than 9 px are rectangles"
    assert any(note.startswith(said) for note in check_dataset(tmp_path).notes)
    mask[1, 1] = 0
    save(tmp_path / "masks" / "0.png", mask)
    assert not any("rectangles" in note for note in check_dataset(tmp_path).notes)


def test_a_union_that_holds_images_twice(tmp_path, capsys):
    make_sample(tmp_path / "sky", "A1")
    make_sample(tmp_path / "sea", "A7")
    (tmp_path / "sea/test/images/03002.png").unlink()
    union = f"{tmp_path / 'sky'}+{tmp_path / 'sea'}"
    said = r"4 images of sea are also in sky, so that these count twice \(01001 = 01001\)"
    with pytest.warns(UserWarning, match=f"the union .*: {said}"):
        load_dataset(union, "train")
    main(["data", "check", union])
    assert re.search(r"union: 5 images of sea are also in sky", capsys.readouterr().out)


def test_known_datasets_that_share_images(tmp_path):
    make_sample(tmp_path / "NUAA-SIRST", "A1")
    make_sample(tmp_path / "SIRST-V2", "A4")
    with pytest.warns(UserWarning, match="both contain images of NUAA-SIRST"):
        load_dataset("NUAA-SIRST+SIRST-V2", "train", root=tmp_path)


def test_the_listing(capsys):
    assert main(["data", "layouts"]) == 0
    rows = capsys.readouterr().out
    for layout in LAYOUTS:
        assert f"{layout.code:5}{layout.name}" in rows


@pytest.mark.slow
def test_a_training_on_boxes_says_so_in_its_record(tmp_path):
    folder = make_set(tmp_path / "hand", train=3, test=2)
    for path in sorted((folder / "masks").iterdir()):
        write(folder / "labels" / f"{path.stem}.txt", "0 0.5 0.5 0.1 0.1\n")
    (folder / "masks").rename(tmp_path / "masks")
    run = training.train(tiny(folder, tmp_path / "run", epochs=1))
    assert read_json(run.folder / "record.json")["weak_masks"] == "boxes"
