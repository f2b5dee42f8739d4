import hashlib
import os
import pickle
import re
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin
from torch.utils.data import DataLoader

from festkit.data.catalogue import dataset_card, list_datasets
from festkit.data.check import check_dataset
from festkit.data.dataset import Dataset, load_dataset
from festkit.data.decoding import is_deep
from festkit.data.images import read_raster, resize_mask, same_aspect
from festkit.data.pairing import find_files
from festkit.data.splitting import split_dataset

GRAY = np.array([[0, 10, 200, 255], [1, 127, 128, 40], [90, 91, 92, 93]], np.uint8)
MASK = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool)

# layout name -> image folder, mask folder, mask suffix, list of each split
PLACES = {
    "BasicIRSTD": ("images", "masks", "", "img_idx/{}_NUAA.txt"),
    "original SIRST": ("images", "masks", "_pixels0", "idx_427/{}.txt"),
    "DNANet": ("images", "masks", "", "50_50/{}.txt"),
    "lists beside the folders": ("images", "masks", "", "{}.txt"),
    "original IRSTD-1k": ("IRSTD1k_Img", "IRSTD1k_Label", "", "{}.txt"),
    "a folder for each sequence": ("1/images", "1/masks", "", "{}.txt"),
    "FEST": ("{}/image", "{}/mask", "", ""),
    "FEST, plural": ("{}/images", "{}/masks", "", ""),
    "splits in the folders": ("images/{}", "masks/{}", "", ""),
}
TRAINVAL = {"original SIRST", "lists beside the folders", "original IRSTD-1k"}


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def make_set(folder, *, train=("a", "b"), test=("c",), layout="BasicIRSTD", extension=".png"):
    """A dataset of 4 × 3 images, every one different, all with the same mask of two targets."""
    image_place, mask_place, suffix, list_place = PLACES[layout]
    for split, names in (("train", train), ("test", test)):
        for name in names:
            image = folder / image_place.format(split) / f"{name}{extension}"
            mask = folder / mask_place.format(split) / f"{name}{suffix}{extension}"
            save(image, GRAY + np.uint8(sum(name.encode()) % 50))
            save(mask, MASK.astype(np.uint8) * 255)
        if list_place:
            word = "trainval" if split == "train" and layout in TRAINVAL else split
            prefix = "1/" * (layout == "a folder for each sequence")
            write(folder / list_place.format(word), "\n".join(prefix + name for name in names))
    return folder


def png_chunk(kind, data):
    body = kind + data
    return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


@pytest.fixture
def folder(tmp_path):
    return make_set(tmp_path / "sky")


class TestGrayLevels:
    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
    def test_gray_stays_gray_in_every_png_mode(self, tmp_path, mode):
        Image.fromarray(GRAY).convert(mode).save(tmp_path / "x.png")
        raster = read_raster(tmp_path / "x.png")
        np.testing.assert_array_equal(raster.gray, GRAY)
        assert (raster.mode, raster.bits, raster.gray.dtype) == (mode, 8, np.uint8)

    @pytest.mark.parametrize("name", ["x.png", "x.BMP", "x.bmp", "x.tif", "x.TIFF", "x.PNG"])
    def test_lossless_formats_as_opencv_writes_them(self, tmp_path, name):
        ok, data = cv2.imencode(Path(name).suffix.lower(), GRAY)
        assert ok
        (tmp_path / name).write_bytes(data.tobytes())
        np.testing.assert_array_equal(read_raster(tmp_path / name).gray, GRAY)

    @pytest.mark.parametrize("name", ["x.jpg", "x.JPEG"])
    def test_jpeg(self, tmp_path, name):
        Image.fromarray(np.full((16, 16), 77, np.uint8)).save(tmp_path / name, quality=95)
        assert np.all(np.abs(read_raster(tmp_path / name).gray.astype(int) - 77) <= 1)

    def test_one_bit(self, tmp_path):
        Image.fromarray(MASK).save(tmp_path / "x.png")
        raster = read_raster(tmp_path / "x.png")
        np.testing.assert_array_equal(raster.gray, MASK * 255)
        assert raster.bits == 1

    def test_colour_weighs_as_luma(self, tmp_path):
        colour = np.array([[[10, 200, 90], [255, 0, 0], [0, 0, 255]]], np.uint8)
        save(tmp_path / "x.png", colour)
        luma = np.rint(colour @ np.array([0.299, 0.587, 0.114]))
        np.testing.assert_array_equal(read_raster(tmp_path / "x.png").gray, luma)

    def test_colour_map_of_a_palette_counts_and_transparency_does_not(self, tmp_path):
        image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
        image.putpalette([250, 250, 250, 30, 30, 30])
        image.save(tmp_path / "x.png", transparency=bytes([0, 128]))
        with warnings.catch_warnings(action="error"):
            assert read_raster(tmp_path / "x.png").gray.tolist() == [[250, 30]]

    def test_gamma_chunk_changes_nothing(self, tmp_path):
        chunks = PngImagePlugin.PngInfo()
        chunks.add(b"gAMA", (60000).to_bytes(4, "big"))
        Image.fromarray(GRAY).convert("RGB").save(tmp_path / "x.png", pnginfo=chunks)
        assert b"gAMA" in (tmp_path / "x.png").read_bytes()
        np.testing.assert_array_equal(read_raster(tmp_path / "x.png").gray, GRAY)

    @pytest.mark.parametrize("extension", [".png", ".tif"])
    def test_sixteen_bit_is_scaled_from_the_full_range(self, tmp_path, extension):
        stored = np.array([[0, 128, 129, 256], [257, 32896, 65406, 65535]], np.uint16)
        cv2.imwrite(str(tmp_path / f"x{extension}"), stored)
        raster = read_raster(tmp_path / f"x{extension}")
        assert raster.gray.tolist() == [[0, 0, 1, 1], [1, 128, 254, 255]]
        assert raster.bits == 16

    @given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
    def test_sixteen_bit_rounds_to_the_nearest_level(self, tmp_path_factory, levels):
        path = tmp_path_factory.getbasetemp() / "levels.tif"
        Image.fromarray(np.array([levels], np.uint16)).save(path)
        gray = read_raster(path).gray[0]
        assert np.all(np.abs(gray - np.array(levels) / 257) <= 0.5)


DEPTHS = ("uint16", "int16", "uint32", "int32", "float16", "float32", "float64", "int8", "uint64")


class TestDeepFiles:
    """Every file is written by tifffile or by hand, and its levels are those that were written."""

    @pytest.mark.parametrize("dtype", DEPTHS)
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_every_depth_keeps_its_levels(self, tmp_path, dtype, compression):
        stored = (np.arange(60).reshape(5, 12) * 2 - (0 if dtype[0] == "u" else 40)).astype(dtype)
        tifffile.imwrite(tmp_path / "x.tif", stored, compression=compression)
        raster = read_raster(tmp_path / "x.tif")
        np.testing.assert_array_equal(raster.levels, stored)
        assert raster.levels.dtype == stored.dtype
        assert raster.bits == 8 * stored.dtype.itemsize

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    def test_white_is_zero(self, tmp_path, dtype):
        rising = np.arange(0, 100, 5).astype(dtype).reshape(4, 5)
        tifffile.imwrite(tmp_path / "x.tif", rising, photometric="miniswhite")
        levels = read_raster(tmp_path / "x.tif").levels.astype(float)
        assert levels.argmax() == 0
        np.testing.assert_array_equal(levels - levels.min(), 95.0 - rising)
        if dtype == "uint16":
            assert levels.max() == 65535

    @pytest.mark.parametrize("photometric", [0, 1])
    def test_compression_that_needs_other_codecs(self, tmp_path, photometric):
        stored = np.arange(600, 660, dtype=np.uint16).reshape(5, 12)
        Image.fromarray(stored).save(tmp_path / "x.tif", compression="tiff_lzw")
        with tifffile.TiffFile(tmp_path / "x.tif", mode="r+b") as tiff:
            tiff.pages[0].tags["PhotometricInterpretation"].overwrite(photometric)
        expected = stored if photometric else 65535 - stored
        np.testing.assert_array_equal(read_raster(tmp_path / "x.tif").levels, expected)

    @pytest.mark.parametrize("channels", [3, 4])
    @pytest.mark.parametrize("name", ["x.png", "x.tif"])
    def test_colour_of_16_bit_weighs_as_luma_and_keeps_its_levels(self, tmp_path, name, channels):
        colour = np.random.default_rng(0).integers(0, 65536, (6, 7, channels), dtype=np.uint16)
        colour[0, :, :3] = colour[0, :, :1]
        cv2.imwrite(str(tmp_path / name), colour[..., [2, 1, 0, 3][:channels]])  # BGR(A)
        raster = read_raster(tmp_path / name)
        luma = np.rint(colour[..., :3] @ np.array([0.299, 0.587, 0.114]))
        np.testing.assert_array_equal(raster.levels, luma)
        np.testing.assert_array_equal(raster.levels[0], colour[0, :, 0])
        assert raster.bits == 16

    @pytest.mark.parametrize(
        ("dtype", "top"), [("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1), ("float32", 1)]
    )
    def test_levels_as_probabilities(self, tmp_path, dtype, top):
        tifffile.imwrite(tmp_path / "x.tif", np.array([[0, top], [top, 0]], dtype))
        assert read_raster(tmp_path / "x.tif").probability.tolist() == [[0, 1], [1, 0]]

    @pytest.mark.parametrize(("dtype", "top"), [("float32", 255), ("int16", 255)])
    def test_levels_that_are_no_probabilities(self, tmp_path, dtype, top):
        tifffile.imwrite(tmp_path / "x.tif", np.array([[0, top], [top, 0]], dtype))
        with pytest.raises(ValueError, match=r"from 0 to 255 are not probabilities; expected"):
            read_raster(tmp_path / "x.tif").probability  # noqa: B018

    def test_planes_one_after_the_other(self, tmp_path):
        planes = np.stack([np.full((4, 5), level, np.float32) for level in (10, 20, 40)])
        tifffile.imwrite(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate")
        assert read_raster(tmp_path / "x.tif").levels == pytest.approx(2.99 + 11.74 + 4.56)

    def test_pgm_of_16_bit_keeps_its_levels(self, tmp_path):
        cv2.imwrite(str(tmp_path / "x.pgm"), np.array([[0, 300, 9000]], np.uint16))
        raster = read_raster(tmp_path / "x.pgm")
        assert (raster.levels.tolist(), raster.bits) == ([[0, 300, 9000]], 16)

    def test_what_is_no_gray_image_is_refused(self, tmp_path):
        path = tmp_path / "x.tif"
        for stored, message in (
            (np.full((4, 5), np.nan, np.float32), r"x\.tif contains NaN or infinity; replace"),
            (np.ones((4, 5), np.complex64), r"x\.tif is a TIFF of .*save it as gray or RGB"),
            (np.ones((3, 4, 5), np.int16), r"x\.tif holds 3 images, expected one"),
        ):
            tifffile.imwrite(path, stored, photometric="minisblack")
            with pytest.raises(ValueError, match=message):
                read_raster(path)
        tifffile.imwrite(path, np.ones((3, 4, 5), np.uint16), imagej=True)
        with pytest.raises(ValueError, match="holds 3 images"):
            read_raster(path)
        tifffile.imwrite(path, np.arange(600, dtype=np.float32).reshape(20, 30))
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ValueError, match=r"cannot read image file .*x\.tif"):
            read_raster(path)

    @pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
    def test_a_dataset_is_read_between_percentiles_of_all_its_images(self, tmp_path, dtype):
        folder = make_set(tmp_path / "sky", extension=".tif")
        rows = np.arange(1000, 1060).reshape(6, 10)
        for name, shift in (("a", 0), ("b", 100), ("c", 141)):
            tifffile.imwrite(folder / "images" / f"{name}.tif", (rows + shift).astype(dtype))
            save(folder / "masks" / f"{name}.tif", np.zeros((6, 10), np.uint8))
        train, test = (load_dataset(folder, split) for split in ("train", "test"))
        assert check_dataset(folder).levels == (1001, 1199)
        for sample, shift in ((train[0], 0), (train[1], 100), (test[0], 141)):
            share = (rows + shift - 1001) / 198
            assert np.abs(sample.image - 255 * share.clip(0, 1)).max() <= 0.5
        (note,) = [note for note in check_dataset(folder).notes if "8 bit" in note]
        assert note.startswith("images of more than 8 bit: their levels 1001 to 1199 become black")
        assert check_dataset(folder).splits["train"].gray_mean == train.statistics()[0]
        before = load_dataset(folder, "train").fingerprint
        tifffile.imwrite(folder / "images" / "c.tif", (rows + 999).astype(dtype))
        assert load_dataset(folder, "train").fingerprint != before

    def test_a_dataset_of_two_sensors_is_told(self, tmp_path):
        folder = make_set(tmp_path / "sky", extension=".tif")
        noise = np.random.default_rng(0).normal(size=(60, 60))
        frames = (8000 + 200 * noise).astype("u2"), (290 + 2 * noise).astype("f4")
        for name, frame in zip("ab", frames, strict=True):
            tifffile.imwrite(folder / "images" / f"{name}.tif", frame)
            save(folder / "masks" / f"{name}.tif", np.zeros((60, 60), np.uint8))
        train = load_dataset(folder, "train")
        with warnings.catch_warnings(action="error"):
            assert len(np.unique(train[0].image)) > 16
        with pytest.warns(UserWarning, match=r"b\.tif has 32 bit .* gray levels remain"):
            train[1]
        (fault,) = check_dataset(folder).faults
        assert re.search(r"one dataset per sensor.*: 1 \(b\.tif has 32 bit and levels", fault)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "deep.png", "rgb.png", "deep.tif"])
    def test_what_viewers_show(self, tmp_path, name, orientation):
        """The oracle is OpenCV for JPEG and what the EXIF standard says for the rest."""
        stored = np.repeat(np.repeat([[250, 10, 10], [120, 120, 60]], 8, 0), 8, 1).astype(np.uint8)
        if name in {"deep.png", "deep.tif"}:
            stored = stored.astype(np.uint16) * 257
        path = tmp_path / name
        if name == "deep.tif":
            tags = [(274, "H", 1, orientation, True)]
            tifffile.imwrite(path, stored, extratags=tags)
        elif name == "rgb.png":
            cv2.imwrite(str(path), np.dstack([stored.astype(np.uint16) * 257] * 3))
            data = path.read_bytes()
            exif = Image.Exif()
            exif[274] = orientation
            path.write_bytes(data[:33] + png_chunk(b"eXIf", exif.tobytes()[6:]) + data[33:])
        else:
            image = Image.fromarray(stored)
            exif = image.getexif()
            exif[274] = orientation
            image.save(path, exif=exif, **({"quality": 100} if name == "x.jpg" else {}))
        turned = {1: [0, 1], 2: [1, 0], 3: [3, 2], 4: [2, 3]}  # where corners 0 1 / 2 3 go: row 1
        turned |= {5: [0, 2], 6: [2, 0], 7: [3, 1], 8: [1, 3]}
        corners = [250, 10, 120, 60]
        raster = read_raster(path)
        gray = raster.gray.astype(int)
        assert [gray[0, 0], gray[0, -1]] == pytest.approx(
            [corners[k] for k in turned[orientation]], abs=2
        )
        assert gray.shape == ((16, 24) if orientation < 5 else (24, 16))
        assert raster.turned == (orientation > 1)
        if name == "x.jpg":
            shown = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            np.testing.assert_array_equal(gray, shown)

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("photometric", [0, 1])
    @pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
    def test_a_compressed_tiff_is_turned_once(
        self, tmp_path, compression, photometric, orientation
    ):
        path, stored = tmp_path / "x.tif", np.arange(600, 660, dtype=np.uint16).reshape(5, 12)
        Image.fromarray(stored).save(path, compression=compression, tiffinfo={274: orientation})
        with tifffile.TiffFile(path, mode="r+b") as tiff:
            tiff.pages[0].tags["PhotometricInterpretation"].overwrite(photometric)
        shown = Image.fromarray(stored.astype(np.int32))
        shown.getexif()[274] = orientation
        shown = np.asarray(ImageOps.exif_transpose(shown))
        expected = shown if photometric else 65535 - shown
        np.testing.assert_array_equal(read_raster(path).levels, expected)

    def test_the_fingerprint_tells_turned_files_from_those_read_as_stored(self, folder):
        image = Image.fromarray(GRAY)
        image.getexif()[274] = 3
        image.save(folder / "images" / "b.png", exif=image.getexif())
        dataset = load_dataset(folder, "train")
        digest = hashlib.sha256(b"sky")
        for pair in dataset.pairs:
            for part in (pair.name.encode(), pair.image.read_bytes(), pair.mask.read_bytes()):
                digest.update(hashlib.sha256(part).digest())
        assert dataset.fingerprint != digest.hexdigest()[:12]
        assert dataset[:1].fingerprint == load_dataset(folder, "train")[:1].fingerprint

    def test_a_mask_drawn_on_the_picture_that_is_shown(self, tmp_path):
        folder = make_set(tmp_path / "phone", layout="FEST", train=("a",), test=())
        stored = np.full((64, 64), 60, np.uint8)
        stored[10:13, 50:53] = 250
        image = Image.fromarray(stored)
        exif = image.getexif()
        exif[274] = 6
        image.save(folder / "train" / "image" / "a.png", exif=exif)
        save(
            folder / "train" / "mask" / "a.png",
            np.where(np.rot90(stored, -1) > 99, 255, 0).astype("u1"),
        )
        (sample,) = load_dataset(folder, "train")
        assert sample.image[sample.mask].tolist() == [250] * 9
        assert "images turned by the EXIF orientation in their files: 1 (a)" in (
            check_dataset(folder).notes
        )


class TestMaskLevels:
    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            (np.array([[0, 1]], np.uint8), [0, 1]),
            (np.array([[0, 0]], np.uint8), [0, 0]),
            (np.array([[0, 127, 128, 255]], np.uint8), [0, 0, 1, 1]),
            (np.array([[0, 127, 128]], np.uint8), [0, 0, 1]),
            (np.array([[0, 32639, 32640, 65535]], np.uint16), [0, 0, 1, 1]),
            (np.array([[0, 127, 128, 255]], np.uint16), [0, 0, 1, 1]),
            (np.array([[0, 1]], np.uint16), [0, 1]),
        ],
    )
    def test_above_127_of_255(self, tmp_path, stored, expected):
        save(tmp_path / "x.png", stored)
        assert read_raster(tmp_path / "x.png").mask[0].tolist() == [bool(x) for x in expected]

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
    def test_every_mode(self, tmp_path, mode):
        Image.fromarray(MASK).convert(mode).save(tmp_path / "x.png")
        raster = read_raster(tmp_path / "x.png")
        np.testing.assert_array_equal(raster.mask, MASK)
        assert raster.mask.dtype == bool
        assert raster.is_binary

    def test_edge_values_are_not_binary(self, tmp_path):
        save(tmp_path / "x.png", np.array([[0, 3, 255]], np.uint8))
        assert not read_raster(tmp_path / "x.png").is_binary

    def test_resize_doubles_every_pixel(self):
        doubled = np.kron(MASK, np.ones((2, 2), bool))
        np.testing.assert_array_equal(resize_mask(MASK, (6, 8)), doubled)
        np.testing.assert_array_equal(resize_mask(doubled, (3, 4)), MASK)
        np.testing.assert_array_equal(resize_mask(MASK, (3, 4)), MASK)

    @given(st.integers(20, 900), st.integers(20, 900), st.floats(1, 4))
    def test_a_rounded_scale_is_the_same_aspect(self, height, width, scale):
        scaled = (round(height * scale), round(width * scale))
        assert same_aspect((height, width), scaled)
        assert same_aspect(scaled, (height, width))

    @pytest.mark.parametrize("other", [(256, 320), (320, 320), (320, 258)])
    def test_other_aspects(self, other):
        assert not same_aspect((320, 256), other)


class TestImplausibleMasks:
    def test_inverted(self, folder):
        save(folder / "masks" / "b.png", np.where(MASK, 0, 255).astype(np.uint8))
        (fault,) = check_dataset(folder).faults
        assert fault.startswith("masks that mark most of their image as target")
        assert fault.endswith(": 1 (b: 75.0 %)")
        with pytest.warns(UserWarning, match=r"b: the mask marks 75\.0 % of the image"):
            load_dataset(folder, "train")[1]

    @pytest.mark.parametrize("colour", [0, 255])
    def test_drawn_in_the_alpha_channel(self, folder, colour):
        alpha = MASK.astype(np.uint8) * 255
        save(folder / "masks" / "b.png", np.dstack([np.full_like(alpha, colour)] * 3 + [alpha]))
        with pytest.raises(
            ValueError, match=r"mask .*b\.png has one colour and differs in its alpha"
        ):
            load_dataset(folder, "train")[1]
        assert "differs in its alpha channel only" in check_dataset(folder).faults[0]

    def test_the_cure_of_several_files_is_said_once(self, folder):
        alpha = MASK.astype(np.uint8) * 255
        for name in "abc":
            image = np.dstack([np.full_like(alpha, 255)] * 3 + [alpha])
            save(folder / "masks" / f"{name}.png", image)
        (fault,) = check_dataset(folder).faults
        assert (fault.count("alpha channel only"), fault.count("save targets as")) == (3, 1)

    def test_colours(self, folder):
        colour = np.zeros((3, 4, 3), np.uint8)
        colour[0, 0], colour[2, 2] = (255, 0, 0), (0, 255, 0)
        save(folder / "masks" / "b.png", colour)
        with pytest.raises(ValueError, match=r"mask .*b\.png is a colour picture.*white"):
            load_dataset(folder, "train")[1]

    def test_masks_of_class_numbers(self, tmp_path):
        folder = make_set(tmp_path / "sky")
        for name, top in (("a", 1), ("b", 1), ("c", 2)):
            save(folder / "masks" / f"{name}.png", MASK.astype(np.uint8) * np.uint8(top))
        with pytest.raises(
            ValueError, match=r"levels up to 1 .*255 is a target in other masks.*save"
        ):
            load_dataset(folder, "train")[0]

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_the_other_masks_say_what_a_target_is(self, tmp_path, dtype):
        folder, one = make_set(tmp_path / "sky"), MASK.astype(dtype)
        save(folder / "masks" / "b.png", one)
        with pytest.raises(
            ValueError, match=r"b\.png has levels up to 1 .*255 is a target in other masks"
        ):
            load_dataset(folder, "train")[1]
        assert "255 is a target in other masks" in check_dataset(folder).faults[0]
        for name in "ac":
            save(folder / "masks" / f"{name}.png", one)
        for sample in load_dataset(folder, "all"):
            np.testing.assert_array_equal(sample.mask, MASK)
        assert check_dataset(folder).faults == ()

    @pytest.mark.parametrize("top", [1, 255])
    def test_masks_of_floats(self, folder, top):
        for name in "abc":
            (folder / "masks" / f"{name}.png").unlink()
            tifffile.imwrite(folder / "masks" / f"{name}.tif", MASK.astype(np.float32) * top)
        np.testing.assert_array_equal(load_dataset(folder, "train")[0].mask, MASK)
        tifffile.imwrite(folder / "masks" / "a.tif", MASK.astype(np.int16) - 1)
        with pytest.raises(
            ValueError, match=r"a\.tif has levels from -1 to 0; save targets as white \(255"
        ):
            load_dataset(folder, "train")[0]


class TestDamagedFiles:
    def test_png_truncated_anywhere_is_refused(self, tmp_path):
        save(tmp_path / "whole.png", GRAY)
        data, part = (tmp_path / "whole.png").read_bytes(), tmp_path / "part.png"
        for length in range(len(data) - 4):  # those 4 are the checksum of the empty end chunk
            part.write_bytes(data[:length])
            with pytest.raises(ValueError, match=r"cannot read image file .*part\.png"):
                read_raster(part)

    @pytest.mark.parametrize("extension", [".bmp", ".tif", ".jpg"])
    def test_other_truncated_file_is_refused(self, tmp_path, extension):
        noise = np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)
        path = tmp_path / f"x{extension}"
        save(path, noise)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ValueError, match=rf"cannot read image file .*x{extension}"):
            read_raster(path)

    def test_changed_byte_is_refused(self, tmp_path):
        save(tmp_path / "x.png", GRAY)
        data = bytearray((tmp_path / "x.png").read_bytes())
        data[data.index(b"IDAT") + 10] ^= 1
        (tmp_path / "x.png").write_bytes(data)
        with pytest.raises(ValueError, match=r"cannot read image file .*x\.png"):
            read_raster(tmp_path / "x.png")

    @pytest.mark.parametrize("kind", ["image", "mask"])
    def test_loader_names_the_file(self, folder, kind):
        broken = folder / f"{kind}s" / "b.png"
        broken.write_bytes(broken.read_bytes()[:-10])
        dataset = load_dataset(folder, "train")
        assert dataset[0].name == "a"
        with pytest.raises(ValueError, match=rf"cannot read image file .*{kind}s.b\.png"):
            dataset[1]

    def test_text_is_no_image(self, tmp_path):
        write(tmp_path / "x.png", "version https://git-lfs.github.com/spec/v1")
        with pytest.raises(ValueError, match=r"cannot read image file .*x\.png"):
            read_raster(tmp_path / "x.png")


class TestLayouts:
    @pytest.mark.parametrize("extension", [".png", ".BMP", ".tif", ".tiff"])
    @pytest.mark.parametrize("layout", PLACES)
    def test_every_layout_in_every_format(self, tmp_path, layout, extension):
        make_set(tmp_path / "sky", layout=layout, extension=extension)
        train, test, every = (
            load_dataset(tmp_path / "sky", split) for split in ("train", "test", "all")
        )
        first = "1/" * (layout == "a folder for each sequence")
        names = tuple(f"{first}{name}" for name in "abc")
        assert (train.names, test.names, every.names) == (names[:2], names[2:], names)
        np.testing.assert_array_equal(test[0].image, GRAY + np.uint8(ord("c") % 50))
        np.testing.assert_array_equal(test[0].mask, MASK)
        assert layout in check_dataset(tmp_path / "sky").layout

    def test_jpg_images_with_png_masks(self, folder):
        for path in (folder / "images").iterdir():
            Image.open(path).save(path.with_suffix(".JPG"))
            path.unlink()
        np.testing.assert_array_equal(load_dataset(folder, "train")[0].mask, MASK)

    @pytest.mark.parametrize(
        "text", ["b.png\na.PNG\n", "b\r\na\r\n", "\n b \n\n\ta\n\n", "\ufeffb\na", "b\na\nb\n"]
    )
    def test_lists_as_people_write_them(self, folder, text):
        write(folder / "img_idx" / "train_NUAA.txt", text)
        assert load_dataset(folder, "train").names == ("b", "a")

    def test_a_dot_in_a_name_is_no_extension(self, tmp_path):
        make_set(tmp_path / "sky", train=("a.1", "a.2"))
        assert load_dataset(tmp_path / "sky", "train").names == ("a.1", "a.2")

    def test_trainval_goes_before_train(self, tmp_path):
        make_set(tmp_path / "sky", layout="original SIRST")
        write(tmp_path / "sky" / "idx_427" / "train.txt", "a")
        assert load_dataset(tmp_path / "sky", "train").names == ("a", "b")

    def test_lists_of_the_paper_go_before_those_of_the_source(self, tmp_path):
        make_set(tmp_path / "sky", layout="original SIRST")
        write(tmp_path / "sky" / "img_idx" / "train_sky.txt", "c")
        assert load_dataset(tmp_path / "sky", "train").names == ("c",)

    def test_names_that_both_splits_use_are_told_apart(self, tmp_path):
        make_set(tmp_path / "sky", layout="FEST", train=("1",), test=("1",))
        assert load_dataset(tmp_path / "sky", "test").names == ("1",)
        assert load_dataset(tmp_path / "sky", "all").names == ("train_1", "test_1")

    def test_files_that_are_no_images_do_not_matter(self, tmp_path):
        folder = make_set(tmp_path / "sky", layout="FEST")
        write(folder / "train" / "image" / "._a.png", "resource fork")
        write(folder / "train" / "image" / "Thumbs.db", "")
        assert load_dataset(folder, "train").names == ("a", "b")

    @pytest.mark.parametrize(
        "entry",
        ["../../etc/passwd", "/etc/passwd", "..\\secret", "C:\\secret.png", "x/../../y.png", ".."],
    )
    def test_entries_stay_in_their_folder(self, folder, entry):
        write(folder / "img_idx" / "test_NUAA.txt", f"c\n{entry}\n")
        with pytest.raises(ValueError, match=r"test_NUAA.txt: entry .* is outside the dataset"):
            load_dataset(folder, "test")

    def test_unknown_layout_lists_the_known_ones(self, tmp_path):
        save(tmp_path / "sky" / "pictures" / "a.png", GRAY)
        with pytest.raises(
            ValueError, match="no known dataset layout; it contains pictures/"
        ) as info:
            load_dataset(tmp_path / "sky", "train")
        assert "BasicIRSTD: images/ masks/ img_idx/{train,test}_*.txt" in str(info.value)
        assert "FEST: {train,test}/image/ {train,test}/mask/" in str(info.value)

    def test_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match="it contains nothing"):
            load_dataset(tmp_path, "train")

    def test_several_lists_for_one_split(self, tmp_path):
        make_set(tmp_path / "sky", layout="DNANet")
        write(tmp_path / "sky" / "20_80" / "train.txt", "a")
        with pytest.raises(ValueError, match=r"several lists .*: 20_80/train.txt, 50_50/train.txt"):
            load_dataset(tmp_path / "sky", "test")

    @pytest.mark.parametrize("second", ["a.bmp", "a_pixels0.png"])
    def test_two_files_of_one_name(self, folder, second):
        save(folder / "masks" / second, GRAY)
        with pytest.raises(ValueError, match=r"has two files named a: .*; remove one"):
            load_dataset(folder, "train")

    def test_list_that_is_no_text(self, folder):
        (folder / "img_idx" / "train_NUAA.txt").write_bytes(b"\xff\xfe\x00a")
        with pytest.raises(ValueError, match=r"train_NUAA.txt is not a list of names"):
            load_dataset(folder, "train")


@pytest.fixture
def bare(tmp_path):
    """Ten images with masks, and no lists."""
    folder = make_set(tmp_path / "sky", layout="lists beside the folders", train="abcdefgh")
    for name in ("trainval.txt", "test.txt"):
        (folder / name).unlink()
    save(folder / "images" / "i.png", GRAY)
    save(folder / "masks" / "i.png", MASK.astype(np.uint8) * 255)
    return folder


class TestWithoutLists:
    ADVICE = "write train.txt and test.txt into it, .* let festkit data split .*sky draw them"

    def test_the_check_reads_all_and_says_what_is_missing(self, bare):
        report = check_dataset(bare)
        assert report.layout == "no lists: images/ masks/"
        (fault,) = report.faults
        assert re.match(f"no list names the images of either split: {self.ADVICE}$", fault)
        assert (report.splits["all"].images, report.splits["all"].targets) == (9, 18)

    def test_all_images_need_no_list(self, bare):
        assert load_dataset(bare, "all").names == tuple("abcdefghi")
        with pytest.raises(ValueError, match=f"sky has images .* train split: {self.ADVICE}; the"):
            load_dataset(bare, "train")

    def test_of_the_original_irstd_1k(self, tmp_path):
        folder = make_set(tmp_path / "k", layout="original IRSTD-1k")
        for name in ("trainval.txt", "test.txt"):
            (folder / name).unlink()
        split_dataset(folder, test=0.5)
        assert check_dataset(folder).layout.startswith("A6 original IRSTD-1k: ")

    def test_splitting(self, bare):
        there = set(bare.iterdir())
        assert split_dataset(bare, test=0.3) == (bare / "train.txt", bare / "test.txt")
        assert set(bare.iterdir()) - there == {bare / "train.txt", bare / "test.txt"}
        train, test = (load_dataset(bare, split).names for split in ("train", "test"))
        assert (len(train), len(test)) == (6, 3)
        assert sorted(train + test) == list("abcdefghi")
        assert train == tuple(sorted(train))
        assert check_dataset(bare).faults == ()

    def test_the_seed_decides(self, bare):
        drawn = []
        for seed in (0, 0, 1, 2):
            lists = split_dataset(bare, test=0.5, seed=seed)
            drawn.append(lists[1].read_text())
            for path in lists:
                path.unlink()
        assert drawn[0] == drawn[1]
        assert len(set(drawn)) > 1

    @pytest.mark.parametrize("layout", PLACES)
    def test_what_has_its_splits_is_left_as_it_is(self, tmp_path, layout):
        folder = make_set(tmp_path / "sky", layout=layout)
        there = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        with pytest.raises(FileExistsError, match=r"already has lists .*; move them aw"):
            split_dataset(folder)
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == there

    def test_a_public_set_has_lists_of_its_own(self, bare):
        public = bare.rename(bare.parent / "irstd1k")
        with pytest.raises(ValueError, match="has the name of a public dataset: put the lists"):
            split_dataset(public)
        with pytest.raises(
            ValueError, match="no list of its test split: put the lists of IRSTD-1K"
        ):
            load_dataset(public, "test")

    def test_names_that_look_like_files(self, bare):
        for place in ("images", "masks"):
            (bare / place / "a.png").rename(bare / place / "a.png.png")
        split_dataset(bare)
        train, test = (load_dataset(bare, split).names for split in ("train", "test"))
        assert "a.png" in train + test

    def test_one_list_is_a_split_already(self, bare):
        write(bare / "test.txt", "a")
        with pytest.raises(FileExistsError, match=r"already .*; its train split is empty; move"):
            split_dataset(bare)
        assert not (bare / "train.txt").exists()

    @pytest.mark.parametrize(
        ("share", "message"),
        [
            (0.0, r"test is 0\.0, expected a share of the images in"),
            (1.0, r"test is 1\.0, expected a share of the images in"),
            (20, "test is 20, expected a share of the images in"),
            (0.01, r"test 0\.01 of the 9 images of .* is 0, which leaves a split empty; choose"),
            (0.99, r"test 0\.99 of the 9 images of .* is 9, which leaves a split empty; choose"),
        ],
    )
    def test_no_share(self, bare, share, message):
        with pytest.raises(ValueError, match=message):
            split_dataset(bare, test=share)

    def test_what_cannot_be_split(self, bare, tmp_path):
        (bare / "masks" / "d.png").unlink()
        with pytest.raises(ValueError, match=r"image .*d\.png has no mask"):
            split_dataset(bare)
        with pytest.raises(FileNotFoundError, match=r"no such dataset folder: .*nowhere"):
            split_dataset(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="no known dataset layout"):
            split_dataset(tmp_path)


class TestLoading:
    def test_empty_split(self, folder):
        write(folder / "img_idx" / "test_NUAA.txt", "\n\n")
        with pytest.raises(ValueError, match=r"the test split of sky is empty: .*BasicIRSTD"):
            load_dataset(folder, "test")

    def test_split_without_a_list(self, folder):
        (folder / "img_idx" / "test_NUAA.txt").unlink()
        with pytest.raises(ValueError, match="the test split of sky is empty"):
            load_dataset(folder, "test")

    def test_wrong_split(self, folder):
        with pytest.raises(ValueError, match=r"unknown split 'tset'; .* Did you mean 'test'"):
            load_dataset(folder, "tset")

    def test_image_without_mask(self, folder):
        (folder / "masks" / "b.png").unlink()
        with pytest.raises(ValueError, match=r"image .*b\.png has no mask: .*masks holds no png"):
            load_dataset(folder, "train")
        assert len(load_dataset(folder, "test")) == 1

    def test_list_entry_without_a_file(self, folder):
        (folder / "images" / "b.png").unlink()
        with pytest.raises(
            ValueError, match=r"b is listed, but .*images has no image of that name"
        ):
            load_dataset(folder, "train")

    def test_mask_of_another_size_is_resampled(self, folder):
        save(folder / "masks" / "a.png", np.kron(MASK, np.full((2, 2), 255, np.uint8)))
        dataset = load_dataset(folder, "train")
        with pytest.warns(
            UserWarning, match="a: mask resampled .*mask 8 × 6 px, image 4 × 3 px"
        ) as said:
            sample = dataset[0]
        assert said[0].filename == __file__
        np.testing.assert_array_equal(sample.mask, MASK)

    def test_mask_of_another_aspect(self, folder):
        save(folder / "masks" / "a.png", np.ascontiguousarray(MASK.T))
        dataset = load_dataset(folder, "train")
        with pytest.raises(
            ValueError, match=r"a: .*mask 3 × 4 px, image 4 × 3 px.*a\.png or .*a\.p"
        ):
            dataset[0]

    def test_missing_known_dataset(self, tmp_path):
        with pytest.raises(FileNotFoundError) as info:
            load_dataset("nudt-sirst", "train", root=tmp_path)
        assert f"NUDT-SIRST is not under {tmp_path}" in str(info.value)
        assert "How to get it: Follow the cloud-drive link" in str(info.value)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_missing_folder(self, tmp_path, kind):
        with pytest.raises(FileNotFoundError, match=r"no such dataset folder: .*nowhere"):
            load_dataset(kind(tmp_path / "nowhere"), "train")

    @pytest.mark.parametrize(
        ("name", "nearest"), [("NUAA-SIRT", "NUAA-SIRST"), ("IRSTD-2K", "IRSTD-1K"), ("ski", "sky")]
    )
    def test_unknown_name(self, folder, name, nearest):
        with pytest.raises(ValueError, match=f"unknown dataset '{name}'.*Did you mean '{nearest}'"):
            load_dataset(name, "train", root=folder.parent)

    @pytest.mark.parametrize("name", ["", " ", "sky+"])
    def test_empty_name(self, folder, name):
        with pytest.raises(ValueError, match="empty dataset name"):
            load_dataset(name, "train", root=folder.parent)


class TestListsAsTheyCome:
    FORMS = (
        "images/a.png\nimages/b.png\n",
        "./images/a.png\r\n.\\images\\b.png\r\n",
        "/home/me/sky/images/a.jpg\n/home/me/sky/images/b.jpg\n",
        "a,b\n",
        "a b",
        "a.png; b.png",
        "images/a.png masks/a.png\nimages/b.png masks/b.png\n",
        "a.png,a_pixels0.png\nb.png,b_pixels0.png\n",
        "../masks/a.png\n../masks/b.png\n",
        "'a'\n\"b\"\n",
    )

    @pytest.mark.parametrize("text", FORMS)
    def test_what_is_certain_is_read(self, folder, text):
        write(folder / "img_idx" / "train_NUAA.txt", text)
        assert load_dataset(folder, "train").names == ("a", "b")
        assert check_dataset(folder).faults == ()

    def test_a_column_of_labels_adds_no_image(self, tmp_path):
        folder = make_set(tmp_path / "sky", train=("0", "1", "2"), test=("3",))
        write(folder / "img_idx" / "train_NUAA.txt", "0 1\n2 1\n")
        with pytest.raises(
            ValueError, match=r"train_NUAA\.txt: entry '0 1' names the images 0, 1, .*one image"
        ):
            load_dataset(folder, "train")

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "gbk"])
    def test_other_encodings(self, folder, encoding):
        for kind in ("images", "masks"):
            (folder / kind / "b.png").rename(folder / kind / "图像.png")
        (folder / "img_idx" / "train_NUAA.txt").write_bytes("a\r\n图像\r\n".encode(encoding))
        assert load_dataset(folder, "train").names == ("a", "图像")
        (folder / "img_idx" / "train_NUAA.txt").write_bytes("像图\r\n".encode(encoding))
        with pytest.raises(
            ValueError, match=r"train_NUAA.txt is not a list of names .*save it as UTF-8"
        ):
            load_dataset(folder, "train")

    def test_what_is_not_certain_is_told_alike_by_check_and_split(self, bare):
        for name in ("train", "test"):
            write(bare / f"{name}.txt", "a 0.3\nb 0.7\n")
        faults = check_dataset(bare).faults
        assert faults[0] == (
            "the lists (train.txt, test.txt) name no existing image: write one image name per"
            " line, such as a"
        )
        with pytest.raises(
            ValueError,
            match=r"lists \(train.txt, test.txt\) name no existing image.*such as a, or move",
        ):
            split_dataset(bare)
        with pytest.raises(ValueError, match=r"a 0\.3 is listed, but .*one image name per line"):
            load_dataset(bare, "train")

    def test_a_name_that_is_there_otherwise(self, folder):
        write(folder / "images" / "d.gif", "GIF")
        write(folder / "img_idx" / "train_NUAA.txt", "a\nd\n")
        with pytest.raises(ValueError, match=r"d is listed, .*; d\.gif is in .*images \(\.png"):
            load_dataset(folder, "train")
        assert check_dataset(folder).notes[-1] == (
            "files of other formats and other folders, ignored: 1 (images/d.gif)"
        )


class TestFoldersWithin:
    @pytest.fixture
    def sequences(self, tmp_path):
        folder = tmp_path / "seq"
        for number, name in enumerate(("1/0001", "1/0002", "2/0001", "2/1(9)")):
            save(folder / "images" / f"{name}.png", GRAY + np.uint8(number))
            save(folder / "masks" / f"{name}.png", MASK.astype(np.uint8) * 255)
        return folder

    def test_lists_name_the_folder(self, sequences):
        write(sequences / "train.txt", "/1/0001\n1/0002.png\n")  # as those of IRDST
        write(sequences / "test.txt", "images/2/0001.png\n2/1(9)\n")
        assert check_dataset(sequences).faults == ()
        assert load_dataset(sequences, "train").names == ("1/0001", "1/0002")
        assert load_dataset(sequences, "test").names == ("2/0001", "2/1(9)")
        np.testing.assert_array_equal(load_dataset(sequences, "test")[1].image, GRAY + np.uint8(3))

    def test_without_lists(self, sequences):
        assert check_dataset(sequences).faults[0].startswith("no list names the images of either")
        split_dataset(sequences, test=0.5)
        assert check_dataset(sequences).faults == ()

    def test_a_name_without_its_folder(self, sequences):
        write(sequences / "train.txt", "1(9)\n")
        with pytest.raises(ValueError, match=r"1\(9\) is listed, .*1\(9\)\.png is in .*images.2"):
            load_dataset(sequences, "train")

    def test_a_root_of_datasets_is_none(self, tmp_path):
        make_set(tmp_path / "sky")
        with pytest.raises(ValueError, match="no known dataset layout"):
            check_dataset(tmp_path)

    def test_names_as_wirstd_sequences_list_them(self, tmp_path):
        make_set(tmp_path / "seq", layout="a folder for each sequence")
        write(tmp_path / "seq" / "train.txt", "1/images/a.png\n")
        assert load_dataset(tmp_path / "seq", "train").names == ("1/a",)


class TestValidation:
    @pytest.mark.parametrize("layout", ["FEST", "FEST, plural", "splits in the folders"])
    def test_folders(self, tmp_path, layout):
        folder, (images, masks, _, _) = make_set(tmp_path / "sky", layout=layout), PLACES[layout]
        for place, array in ((images, GRAY + np.uint8(99)), (masks, MASK.astype(np.uint8) * 255)):
            save(folder / place.format("val") / "v.png", array)
            save(folder / place.format("extra") / "e.png", array)
        unused = ", ".join(sorted(f"{place.format('extra')}/" for place in (images, masks)))
        assert load_dataset(folder, "val").names == ("v",)
        assert load_dataset(folder, "all").names == ("a", "b", "v", "c")
        report = check_dataset(folder)
        assert report.splits["val"].images == 1
        assert "4 images, 2/1/1 train/val/test" in str(report)
        assert report.notes == (f"files of other formats and other folders, ignored: 2 ({unused})",)

    def test_lists(self, folder):
        write(folder / "img_idx" / "val_NUAA.txt", "b\nc")
        assert load_dataset(folder, "val").names == ("b", "c")
        assert check_dataset(folder).faults == (
            "images in the train list and in the val list (list each in one of them; without a"
            " train list, trainval is the train list): 1 (b)",
            "images in the val list and in the test list: 1 (c)",
        )

    def test_trainval_beside_train_and_val(self, tmp_path):
        folder = make_set(tmp_path / "sky", layout="lists beside the folders")  # trainval: a, b
        write(folder / "train.txt", "a")
        write(folder / "val.txt", "b")
        assert load_dataset(folder, "train").names == ("a",)
        assert load_dataset(folder, "val").names == ("b",)
        assert check_dataset(folder).faults == ()

    def test_trainval_and_val_without_train(self, tmp_path):
        folder = make_set(tmp_path / "sky", layout="lists beside the folders")  # trainval: a, b
        write(folder / "val.txt", "b")
        (fault,) = check_dataset(folder).faults
        assert fault.startswith("images in the train list and in the val list")
        assert fault.endswith(": 1 (b)")
        for split, names in (("train", ("a", "b")), ("val", ("b",))):
            with pytest.warns(
                UserWarning,
                match=r"1 of 1 val images of sky are also training images \(b\).*write train\.txt",
            ):
                assert load_dataset(folder, split).names == names
        with warnings.catch_warnings(action="error"):
            load_dataset(folder, "test")

    def test_where_there_is_none(self, folder):
        with pytest.raises(ValueError, match=r"the val split of sky is empty.*: train, test"):
            load_dataset(folder, "val")
        assert "val" not in check_dataset(folder).splits


class TestFinding:
    @pytest.mark.parametrize("on_disk", ["NUAA-SIRST", "nuaa_sirst", "SIRST", "sirst-V1"])
    @pytest.mark.parametrize("asked", ["NUAA-SIRST", "nuaasirst", "SIRST-v1"])
    def test_known_names_in_every_spelling(self, tmp_path, on_disk, asked):
        make_set(tmp_path / on_disk)
        assert load_dataset(asked, "train", root=tmp_path).name == "NUAA-SIRST"

    def test_known_folder_keeps_its_name_by_path(self, tmp_path):
        make_set(tmp_path / "irstd-1k")
        assert load_dataset(tmp_path / "irstd-1k", "train").name == "IRSTD-1K"

    def test_root_by_argument_then_environment_then_data(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("FESTKIT_DATA", raising=False)
        make_set(tmp_path / "data" / "NUAA-SIRST", train=("default",))
        make_set(tmp_path / "env" / "NUAA-SIRST", train=("environment",))
        make_set(tmp_path / "arg" / "NUAA-SIRST", train=("argument",))
        assert load_dataset("NUAA-SIRST", "train").names == ("default",)
        monkeypatch.setenv("FESTKIT_DATA", str(tmp_path / "env"))
        assert load_dataset("NUAA-SIRST", "train").names == ("environment",)
        assert load_dataset("NUAA-SIRST", "train", root=tmp_path / "arg").names == ("argument",)

    def test_own_folder_under_the_root(self, folder):
        assert load_dataset("sky", "train", root=folder.parent).name == "sky"

    def test_a_known_name_means_the_root_and_any_other_the_nearest_folder(
        self, tmp_path, monkeypatch
    ):
        for name in ("NUAA-SIRST", "sky"):
            make_set(tmp_path / "root" / name, train=("root",))
            make_set(tmp_path / "here" / name, train=("here",))
        monkeypatch.chdir(tmp_path / "here")
        assert load_dataset("NUAA-SIRST", "train", root=tmp_path / "root").names == ("root",)
        assert load_dataset("sky", "train", root=tmp_path / "root").names == ("here",)
        assert load_dataset("NUAA-SIRST", "train", root=tmp_path / "void").names == ("here",)

    def test_current_folder(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert load_dataset(".", "train").name == "sky"


class TestDataset:
    def test_is_a_sequence_of_samples(self, folder):
        dataset = load_dataset(folder, "all")
        assert len(dataset) == 3
        assert [sample.name for sample in dataset] == ["a", "b", "c"]
        assert dataset[-1].name == "c"
        assert dataset[np.int64(1)].name == "b"
        sample = dataset[0]
        assert (sample.image.dtype, sample.mask.dtype) == (np.uint8, bool)
        assert sample.image.shape == sample.mask.shape == (3, 4)
        with pytest.raises(IndexError):
            dataset[3]

    def test_a_slice_is_a_dataset(self, folder):
        part = load_dataset(folder, "all")[1:]
        assert isinstance(part, Dataset)
        assert part.names == ("b", "c")
        assert (part.name, part.split) == ("sky", "all")

    def test_reads_only_what_is_asked_for(self, folder):
        dataset = load_dataset(folder, "train")
        (folder / "images" / "b.png").unlink()
        assert dataset[0].name == "a"

    def test_a_loader_takes_it_as_it_is(self, folder):
        with warnings.catch_warnings(action="error"):
            batches = list(DataLoader(load_dataset(folder, "all"), batch_size=2))
        assert [type(batch).__name__ for batch in batches] == ["Sample", "Sample"]
        assert batches[0].image.shape == batches[0].mask.shape == (2, 3, 4)
        assert batches[0].name == ("a", "b")
        assert repr(batches[0]).endswith("image=(2, 3, 4) torch.uint8, mask=6 px)")

    def test_samples_compare_hash_and_show(self, folder):
        one, two = load_dataset(folder, "all")[0], load_dataset(folder, "all")[0]
        other = load_dataset(folder, "all")[1]
        assert one == two
        assert (one != two) is False
        assert one != other
        assert one != ("a",)
        assert len({one, two, other}) == 2
        image, mask, name = one
        assert (image is one.image, mask is one.mask, name) == (True, True, "a")
        assert one in list(load_dataset(folder, "all"))
        assert repr(one) == "Sample(name='a', image=(3, 4) uint8, mask=3 px)"
        assert one._repr_html_().endswith("<br/>a, 4 × 3 px, 3 px on targets")
        assert pickle.loads(pickle.dumps(one)) == one

    def test_a_dataset_shows_its_length(self, folder):
        dataset = load_dataset(folder, "train")
        assert repr(dataset) == "Dataset(name='sky', split='train', 2 images)"
        assert dataset._repr_html_() == "<p>sky, split train: 2 images (a, b)</p>"
        assert {dataset, load_dataset(folder, "train")} == {dataset}
        assert repr(dataset.pairs[0]).startswith("Pair(name='a', image=")
        assert dataset.pairs[0] == load_dataset(folder, "train").pairs[0]

    def test_pickles(self, folder):
        dataset = load_dataset(folder, "train")
        copy = pickle.loads(pickle.dumps(dataset))
        assert copy == dataset
        np.testing.assert_array_equal(copy[0].image, dataset[0].image)

    def test_statistics_are_means_over_images(self, tmp_path):
        folder = make_set(tmp_path / "sky", train=("a", "b"))
        save(folder / "images" / "a.png", np.array([[0, 2]], np.uint8))
        save(folder / "images" / "b.png", np.array([[100, 100, 100, 200]], np.uint8))
        mean, std = load_dataset(folder, "train").statistics()
        assert mean == pytest.approx((1 + 125) / 2 / 255)
        assert std == pytest.approx((1 + 1875**0.5) / 2 / 255)

    def test_no_statistics_without_images(self, folder):
        with pytest.raises(ValueError, match=r"sky \(train\) has no images"):
            load_dataset(folder, "train")[:0].statistics()

    def test_fingerprint_does_not_depend_on_place_or_process(self, folder):
        fingerprint = load_dataset(folder, "train").fingerprint
        make_set(folder.parent / "elsewhere" / "sky")
        assert load_dataset(folder.parent / "elsewhere" / "sky", "train").fingerprint == fingerprint
        assert len(fingerprint) == 12
        command = (
            "import sys; from festkit.data import load_dataset;"
            " d = load_dataset(sys.argv[1], 'train');"
            " print(d.fingerprint, sorted({'torch', 'matplotlib', 'numba'} & set(sys.modules)))"
        )
        run = [sys.executable, "-c", command, str(folder)]
        printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        assert printed.split() == [fingerprint, "[]"]

    def test_fingerprint_tells_sets_splits_names_and_pixels_apart(self, folder):
        seen = [load_dataset(folder, split).fingerprint for split in ("train", "test", "all")]
        make_set(folder.parent / "sea")
        seen.append(load_dataset(folder.parent / "sea", "train").fingerprint)
        make_set(folder.parent / "x" / "sky", train=("a", "c"))
        seen.append(load_dataset(folder.parent / "x" / "sky", "train").fingerprint)
        for kind in ("images", "masks"):
            save(folder / kind / "b.png", GRAY.T.copy())
            seen.append(load_dataset(folder, "train").fingerprint)
        for kind in ("images", "masks"):
            (folder / kind / "b.png").rename(folder / kind / "d.png")
        write(folder / "img_idx" / "train_NUAA.txt", "a\nd")
        seen.append(load_dataset(folder, "train").fingerprint)
        assert len(set(seen)) == len(seen) == 8


class TestUnion:
    def test_holds_all_samples_under_unique_names(self, tmp_path):
        make_set(tmp_path / "NUAA-SIRST", train=("a",))
        make_set(tmp_path / "NUDT-SIRST", train=("a", "b"))
        make_set(tmp_path / "IRSTD-1K", train=("b",))
        union = load_dataset("sirst-v1 + NUDT-SIRST+IRSTD-1k", "train", root=tmp_path)
        assert union.name == "NUAA-SIRST+NUDT-SIRST+IRSTD-1K"
        assert union.names == ("NUAA-SIRST_a", "NUDT-SIRST_a", "NUDT-SIRST_b", "IRSTD-1K_b")
        assert union[3].name == "IRSTD-1K_b"

    def test_statistics_are_over_all_images(self, tmp_path):
        for name, names, level in (("sky", ("a", "b"), 30), ("sea", ("a",), 90)):
            make_set(tmp_path / name, train=names)
            for entry in names:
                save(tmp_path / name / "images" / f"{entry}.png", np.full((3, 4), level, np.uint8))
        mean, std = load_dataset("sky+sea", "train", root=tmp_path).statistics()
        assert (mean, std) == (pytest.approx(50 / 255), 0)

    def test_of_paths(self, folder):
        make_set(folder.parent / "sea")
        union = load_dataset(f"{folder}+{folder.parent / 'sea'}", "test")
        assert union.names == ("sky_c", "sea_c")

    def test_one_dataset_twice(self, folder):
        with pytest.raises(ValueError, match="two datasets of the same name"):
            load_dataset("sky+SKY", "train", root=folder.parent)

    def test_a_folder_with_a_plus_in_its_name(self, tmp_path):
        make_set(tmp_path / "sky+sea")
        assert load_dataset(str(tmp_path / "sky+sea"), "train").name == "sky+sea"


class TestCatalogue:
    @pytest.mark.parametrize(
        ("name", "counts", "fusion_sizes"),
        [
            ("NUAA-SIRST", (427, 213, 214, 533, 263), (512, 768)),
            ("NUDT-SIRST", (1327, 663, 664, 1863, 945), (256, 384)),
            ("IRSTD-1K", (1001, 800, 201, 1492, 297), (512, 768)),
            ("SIRST-V2", (None,) * 5, ()),
            ("W-IRSTD", (9000, 7200, 1800, None, None), (896, 768, 1024)),
            ("W-IRSTD-land-air-subset", (None,) * 5, (896, 768, 1024)),
        ],
    )
    def test_cards(self, name, counts, fusion_sizes):
        card = dataset_card(name)
        assert (card.images, card.train, card.test, card.targets, card.test_targets) == counts
        assert card.fusion_sizes == fusion_sizes

    @pytest.mark.parametrize("name", list_datasets())
    def test_every_card_is_complete(self, name):
        card = dataset_card(name.lower().replace("-", ""))
        assert card.name == name
        for text in (card.source, card.citation, card.licence, card.how_to_get):
            assert len(text) > 10

    def test_unknown_card(self):
        with pytest.raises(ValueError, match="unknown dataset 'NUDT'; choose from NUAA-SIRST"):
            dataset_card("NUDT")

    def test_w_irstd_is_not_to_be_had(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="It is not publicly available as files"):
            load_dataset("W-IRSTD", "train", root=tmp_path)


class TestCheck:
    def test_a_clean_set(self, folder):
        report = check_dataset(folder)
        assert (report.faults, report.notes) == ((), ())
        assert str(report).startswith(
            "sky: 3 images, 2/1 train/test, 6 targets (2 test), 0 non-binary masks\n"
        )
        assert "faults: none" in str(report)
        assert report.sizes == {(4, 3): 3}
        assert (report.modes, report.bit_depths) == ({"L": 3}, {8: 3})
        grays = [GRAY + np.uint8(ord(name) % 50) for name in "abc"]
        assert report.splits["all"].gray_mean == pytest.approx(np.mean(grays) / 255)
        assert report.splits["test"].gray_std == pytest.approx(np.std(grays[2]) / 255)

    def test_by_name(self, folder):
        assert check_dataset("sky", root=folder.parent) == check_dataset(folder)

    def test_targets_by_size(self, folder):
        mask = np.zeros((40, 40), np.uint8)
        mask[0, :9] = mask[2, :10] = 255  # 9 px: point; 10 px: spot
        mask[10:19, 10:19] = 255  # 81 px: spot
        mask[30:32, 0:40] = mask[32, 0:2] = 255  # 82 px: extended
        mask[5, 20] = mask[6, 21] = 255  # diagonal: one target of 2 px
        save(folder / "images" / "c.png", mask // 2)
        save(folder / "masks" / "c.png", mask)
        part = check_dataset(folder).splits["test"]
        assert (part.targets, part.several) == (5, 1)
        assert (part.point, part.spot, part.extended) == (2, 2, 1)
        assert part.areas[::2] == (2, 10, 82)
        assert part.target_share == (9 + 10 + 81 + 82 + 2) / 1600

    def test_missing_partners(self, folder):
        (folder / "images" / "a.png").unlink()
        (folder / "masks" / "b.png").unlink()
        report = check_dataset(folder)
        assert report.faults == (
            "listed names without an image file: 1 (a)",
            "images without a mask: 1 (b)",
        )
        assert report.notes == ("masks without an image, not used: 1 (a.png)",)
        assert report.splits["train"].images == 1

    def test_unreadable_file(self, folder):
        (folder / "images" / "c.png").write_bytes(b"\x89PNG")
        report = check_dataset(folder)
        assert len(report.faults) == 1
        assert "pairs with an unreadable file: 1 (cannot read image file" in report.faults[0]
        assert str(folder / "images" / "c.png") in report.faults[0]
        assert "-" in str(report)

    def test_unequal_pairs(self, folder):
        save(folder / "masks" / "a.png", np.kron(MASK, np.full((2, 2), 255, np.uint8)))
        save(folder / "masks" / "b.png", np.full((4, 3), 255, np.uint8))
        report = check_dataset(folder)
        assert report.faults == (
            "masks that differ from their image in size and aspect ratio: 1"
            " (b: mask 3 × 4 px, image 4 × 3 px)",
        )
        assert report.notes == (
            "masks resampled to the size of their image: 1 (a: mask 8 × 6 px, image 4 × 3 px)",
        )
        assert report.splits["train"].targets == 2

    def test_a_test_image_among_the_training_images_is_told_of(self, folder):
        lists = sorted(folder.rglob("*.txt"))
        first = lists[0].read_text().split()[0]
        lists[1].write_text(f"{lists[1].read_text().rstrip()}\n{first}\n")
        for split in ("train", "test"):
            with pytest.warns(UserWarning, match=f"1 of .* test images .*{first}.*too high"):
                load_dataset(folder, split)

    def test_image_in_both_splits(self, folder):
        write(folder / "img_idx" / "test_NUAA.txt", "c\nb")
        report = check_dataset(folder)
        assert report.faults == ("images in the train list and in the test list: 1 (b)",)
        assert hash(report) == hash(check_dataset(folder))
        assert report.splits["all"].images == 3

    def test_identical_images(self, folder):
        save(folder / "images" / "b.png", GRAY)
        save(folder / "images" / "a.png", GRAY)
        report = check_dataset(folder)
        assert report.notes == ("identical images under two names: 1 (a = b)",)
        assert report.names_of("identical_images") == ("a = b",)
        Image.fromarray(GRAY).convert("RGB").save(folder / "images" / "c.png")
        assert check_dataset(folder).faults == (
            "train images that are identical to a test image: 1 (a = b = c)",
        )

    def test_equal_bytes_of_another_size_are_another_image(self, folder):
        save(folder / "images" / "b.png", GRAY.reshape(4, 3))
        save(folder / "masks" / "b.png", GRAY.reshape(4, 3))
        save(folder / "images" / "a.png", GRAY)
        report = check_dataset(folder)
        assert [*report.names_of("identical_images"), *report.names_of("leaked_images")] == []

    def test_notes(self, folder):
        save(folder / "masks" / "a.png", np.where(MASK, 200, 3).astype(np.uint8))
        save(folder / "masks" / "b.png", np.zeros_like(GRAY))
        save(folder / "images" / "d.png", GRAY + np.uint8(7))
        save(folder / "masks" / "d.png", GRAY)
        write(folder / "img_idx" / "train_NUAA.txt", "a\nb\na")
        report = check_dataset(folder)
        assert report.faults == ()
        assert report.notes == (
            "non-binary masks, binarised at > 127 of 255: 2 (a, d)",
            "images without a target: 1 (b)",
            "names listed more than once in a split, used once: 1 (a)",
            "images in neither split, not used: 1 (d)",
        )
        assert "3/1" not in str(report)
        assert "sky: 4 images, 2/1 train/test" in str(report)

    def test_long_lists_of_names_are_cut(self, tmp_path):
        make_set(tmp_path / "sky", train=[f"n{i}" for i in range(8)])
        for i in range(8):
            (tmp_path / "sky" / "masks" / f"n{i}.png").unlink()
        (fault,) = check_dataset(tmp_path / "sky").faults
        assert fault == "images without a mask: 8 (n0, n1, n2, n3, n4, and 3 more)"

    def test_empty_splits(self, folder):
        (folder / "img_idx" / "test_NUAA.txt").unlink()
        assert "the test split is empty" in check_dataset(folder).notes
        (tmp := folder.parent / "void" / "train" / "image").mkdir(parents=True)
        (tmp.parent / "mask").mkdir()
        report = check_dataset(folder.parent / "void")
        assert report.faults == ("the folder holds no image",)
        assert str(report).startswith("void: 0 images, 0/0 train/test, 0 targets")

    def test_counts_off_the_card_are_faults(self, tmp_path):
        make_set(tmp_path / "nudt-sirst")
        report = check_dataset("NUDT-SIRST", root=tmp_path)
        assert report.faults == (
            "NUDT-SIRST should have 1327 images, this folder has 3",
            "NUDT-SIRST should have 663 train images, this folder has 2",
            "NUDT-SIRST should have 664 test images, this folder has 1",
            "NUDT-SIRST should have 1863 targets, this folder has 6",
            "NUDT-SIRST should have 945 test targets, this folder has 2",
        )
        assert "faults:\n  - NUDT-SIRST should have 1327 images" in str(report)

    def test_same_names_in_both_folders_are_no_fault(self, tmp_path):
        make_set(tmp_path / "sky", layout="FEST", train=("1",), test=("1",))
        save(tmp_path / "sky" / "test" / "image" / "1.png", GRAY[::-1].copy())
        report = check_dataset(tmp_path / "sky")
        assert report.faults == ()
        assert (report.splits["all"].images, report.splits["test"].images) == (2, 1)

    def test_text_fits_a_terminal(self, folder):
        assert max(len(line) for line in str(check_dataset(folder)).splitlines()[4:]) <= 80


REAL = {
    "NUAA-SIRST": (
        "NUAA-SIRST: 427 images, 213/214 train/test, 533 targets (263 test), 0 non-binary masks",
        (0.43403, 0.11510),
    ),
    "NUDT-SIRST": (
        "NUDT-SIRST: 1327 images, 663/664 train/test, 1863 targets (945 test), 0 non-binary masks",
        (0.42362, 0.13025),
    ),
    "IRSTD-1K": (
        "IRSTD-1K: 1001 images, 800/201 train/test, 1492 targets (297 test), 85 non-binary masks",
        (0.34256, 0.15731),
    ),
}


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_real_sets(name):
    first_line, statistics = REAL[name]
    if not os.environ.get("FESTKIT_DATA"):
        pytest.skip("FESTKIT_DATA is not set")
    try:
        report = check_dataset(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert str(report).splitlines()[0] == first_line
    assert report.faults == ()
    train = report.splits["train"]
    assert (train.gray_mean, train.gray_std) == pytest.approx(statistics, abs=1e-5)


@pytest.mark.parametrize("colour", [(128, 0, 0), (1, 2, 3)])
def test_masks_of_class_numbers_are_refused_instead_of_being_empty(tmp_path, colour):
    folder = tmp_path / "classes"
    for place, pixel in (("train/image", (90, 90, 90)), ("train/mask", colour)):
        (folder / place).mkdir(parents=True)
        picture = Image.new("RGB", (6, 4))
        picture.putpixel((2, 2), pixel)
        picture.quantize(2).save(folder / place / "a.png")
    with pytest.raises(ValueError, match=r"mask .*a\.png has levels up to .* but none above 127"):
        load_dataset(folder, "train")[0]
    assert any("none above 127" in fault for fault in check_dataset(folder).faults)


def test_a_folder_that_is_missing_is_not_empty(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_files(tmp_path / "not there")


def test_depth_is_read_from_the_first_bytes(tmp_path):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.zeros((64, 64), np.uint16))
    path.write_bytes(path.read_bytes()[:60])
    assert is_deep(path)
