"""The W-IRSTD land/air subset: what is copied, what is left out, which leaks are named."""

import csv
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from festkit.cli.main import main
from festkit.data.catalogue import dataset_card, dataset_name
from festkit.data.dataset import Dataset, load_dataset
from festkit.data.wirstd import build_wirstd, subset_rows
from festkit.zoo.measure import warn_if_trained_on

NAME = "W-IRSTD-land-air-subset"
# Areas from the map's own table: NUDT-SIRST 000001 and 000002; IRSTD-1K XDU0; SIRST-V2 Misc_1.
AREAS = {
    "NUDT-SIRST": {"000001": 9, "000002": 9},
    "IRSTD-1K": {"XDU0": 32},
    "SIRST": {"Misc_1": 11},
}


def save(folder, name, area, suffix=""):
    mask = np.zeros((16, 16), np.uint8)
    mask.flat[:area] = 255
    image = np.full_like(mask, 40 + area)
    for place, pixels, end in (("images", image, ""), ("masks", mask, suffix)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / place / f"{name}{end}.png")


@pytest.fixture
def root(tmp_path):
    """Four images of three sources, each with its listed area, each in the test list there."""
    for source, areas in AREAS.items():
        folder = tmp_path / "sources" / source
        for name, area in areas.items():
            save(folder, name, area, "_pixels0" * (source == "SIRST"))
        (folder / "train.txt").write_text("")
        (folder / "test.txt").write_text("\n".join(areas))
    return tmp_path / "sources"


def test_the_map_has_the_counts_of_the_reference():
    rows = subset_rows()
    sources = [row.source for row in rows]
    assert [sources.count(name) for name in ("NUDT-SIRST", "IRSTD-1K", "SIRST-V2")] == [
        1327,
        1001,
        513,
    ]
    assert [row.id for row in rows] == [f"{number:05}" for number in range(1, 2842)]
    assert len({(row.source, row.name) for row in rows}) == 2841
    # shares of the public split: train + validation, and test
    of_source = {name: [row.split for row in rows if row.source == name] for name in set(sources)}
    assert {name: splits.count("test") for name, splits in of_source.items()} == {
        "NUDT-SIRST": 267,
        "IRSTD-1K": 199,
        "SIRST-V2": 104,
    }


def test_images_masks_lists_and_origin(root, tmp_path):
    report = build_wirstd(tmp_path / "out" / NAME, root=root)
    folder = report.folder
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]
    assert {path.name for path in (folder / "masks").iterdir()} == {
        "00001.png",
        "00002.png",
        "01328.png",
        "02329.png",
    }
    with (folder / "origin.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [
            "000001",
            "000002",
            "XDU0",
            "Misc_1",
        ]
    train = load_dataset(NAME, "train", root=tmp_path / "out")
    assert (train.name, train.names) == (NAME, ("00001", "00002", "01328", "02329"))
    assert [int(sample.mask.sum()) for sample in train] == [9, 9, 32, 11]
    source = root / "IRSTD-1K" / "images" / "XDU0.png"
    assert (folder / "images" / "01328.png").read_bytes() == source.read_bytes()


def test_what_is_missing_or_has_another_area_is_left_out_and_counted(root, tmp_path):
    save(root / "IRSTD-1K", "XDU0", 31)
    (root / "NUDT-SIRST" / "masks" / "000002.png").unlink()
    report = build_wirstd(tmp_path / NAME, root=root)
    assert [row.id for row in report.rows] == ["00001", "02329"]
    assert [row.name for row in report.other_area] == ["XDU0"]
    assert len(report.missing) == 2841 - 3
    text = (report.folder / "README.txt").read_text()
    assert text.startswith("W-IRSTD land/air subset: 2 of 2841 images, 2/0 train/test\n")
    assert "other mask area, left out: IRSTD-1K XDU0\n" in text
    assert "missing, left out: NUDT-SIRST 000002, NUDT-SIRST 000003, " in text


def test_leaks_are_named(root, tmp_path):
    report = build_wirstd(tmp_path / NAME, root=root)
    assert report.leaks[0].startswith("NUAA-SIRST is part of SIRST-V2, and SIRST-V2 of W-IRSTD")
    assert report.leaks[1] == (
        "2 of the 2 test images of NUDT-SIRST are in the train list of the W-IRSTD land/air subset"
    )
    assert [leak.split(" are")[0] for leak in report.leaks[2:]] == [
        "1 of the 1 test images of IRSTD-1K",
        "1 of the 1 test images of NUAA-SIRST",
    ]


def test_sirst_v2_comes_before_nuaa_sirst(root, tmp_path):
    folder = root / "SIRST-V2"
    save(folder, "Misc_1", 11)
    Image.new("L", (16, 16), 99).save(folder / "images" / "Misc_1.png")
    build_wirstd(tmp_path / NAME, root=root)
    assert Image.open(tmp_path / NAME / "images" / "02329.png").getpixel((0, 0)) == 99


def test_an_interrupted_build_continues_to_the_same_folder(root, tmp_path, monkeypatch):
    whole = build_wirstd(tmp_path / "whole", root=root).folder
    monkeypatch.setattr("festkit.data.wirstd._write_texts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_wirstd(tmp_path / "again", root=root)
    assert not (tmp_path / "again").exists()
    monkeypatch.undo()
    part = tmp_path / ".again.part"
    (part / "masks" / "00001.png").write_bytes(b"half")
    (part / "images" / "08000.png").write_bytes(b"not in the map")
    there = (part / "images" / "00002.png").stat().st_mtime_ns
    again = build_wirstd(tmp_path / "again", root=root).folder
    contents = [
        {
            path.relative_to(at): path.read_bytes()
            for path in at.rglob("*.*")
            if path.suffix != ".txt"
        }
        for at in (whole, again)
    ]
    assert contents[0] == contents[1]
    assert (again / "images" / "00002.png").stat().st_mtime_ns == there


def test_bad_input(root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none of NUDT-SIRST, IRSTD-1K, SIRST-V2 is there"):
        build_wirstd(tmp_path / NAME, root=tmp_path / "nowhere")
    for name in ("wirstd", "W-IRSTD", "nuaa_sirst"):
        with pytest.raises(ValueError, match=f"would be taken for .*; name it {NAME}"):
            build_wirstd(tmp_path / name, root=root)
    (tmp_path / NAME).mkdir()
    with pytest.raises(FileExistsError, match="exists; remove it"):
        build_wirstd(tmp_path / NAME, root=root)


def test_its_name_has_a_slash():
    assert dataset_card("W-IRSTD land/air subset").name == NAME
    assert dataset_name("W-IRSTD land/air subset") == NAME
    assert dataset_name(Path("/data") / NAME) == NAME


@pytest.mark.parametrize(
    ("trained_on", "evaluated", "warned"),
    [
        (NAME, NAME, False),
        (NAME, "NUDT-SIRST", True),
        ("IRSTD-1K", NAME, True),
        ("NUAA-SIRST", NAME, True),
        (NAME, "MINE", False),
    ],
)
def test_a_model_is_not_evaluated_on_what_it_has_seen(trained_on, evaluated, warned):
    images = Dataset(evaluated, "test", ())
    seen = {trained_on: images.fingerprint if trained_on == evaluated else "another"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_trained_on("a model", seen, images)
    assert len(caught) == warned


@pytest.mark.slow
@pytest.mark.real
def test_from_the_real_sets(tmp_path, capsys):
    if not Path(os.environ.get("FESTKIT_DATA", ""), "IRSTD-1K").is_dir():
        pytest.skip("FESTKIT_DATA has no real sets")
    assert main(["data", "build-wirstd", str(tmp_path / NAME)]) == 0
    text = capsys.readouterr().out
    assert "W-IRSTD land/air subset: 2755 of 2841 images, 2204/551 train/test" in text
    assert "522 of the 664 test images of NUDT-SIRST are in the train list" in text
    assert "159 of the 201 test images of IRSTD-1K are in the train list" in text
    area = {row.id: row.area for row in subset_rows()}
    samples = load_dataset(tmp_path / NAME, "all")
    assert {sample.name: int(sample.mask.sum()) for sample in samples} == {
        name: area[name] for name in samples.names
    }
