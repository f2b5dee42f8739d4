"""Files as cameras and recorders write them, each with a few hot spots at known places.

    python tests/cameras.py FOLDER [HEIGHT WIDTH]

writes all of them; raw files are 64 x 48 (by default) uint16.
"""

import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

FRAMES = 3
"""Frames of every file that holds several."""

PLANCK = {"r1": 17096.453, "r2": 0.046642166, "b": 1428.0, "f": 1.0, "o": -342}


def spots(frames, shape):
    """Centres of the spots: two that move, by frame."""
    height, width = shape
    return [
        [(height // 3 + k, width // 4 + 2 * k), (2 * height // 3 - k, 3 * width // 4)]
        for k in range(frames)
    ]


def scene(centres, shape, *, low=60, span=190, noise=2.0, seed=0):
    """A sky with a slope and noise, and spots of 3 px."""
    rows = np.linspace(0, 1, shape[0])[:, None]
    sky = low + 0.08 * span * rows + np.random.default_rng(seed).normal(0, noise, shape)
    for row, column in centres:
        sky[row - 1 : row + 2, column - 1 : column + 2] = low + span
    return sky


def film(frames, shape, **options):
    """(N, H, W) frames, and the centres of their spots."""
    places = spots(frames, shape)
    scenes = [scene(at, shape, seed=k, **options) for k, at in enumerate(places)]
    return np.stack(scenes), places


DEEP = {"low": 7800, "span": 1400, "noise": 12.0}


def write_pgm(path, levels, top):
    """A binary PGM; deep levels are big-endian."""
    data = levels.astype(">u2" if top > 255 else "u1")
    path.write_bytes(f"P5\n{data.shape[1]} {data.shape[0]}\n{top}\n".encode() + data.tobytes())


def write_video(path, frames, codec, pixels, *, rate=25, tag=None, **options):
    """A video of gray frames (N, H, W), of uint8 or uint16; ``tag`` replaces the code of an AVI."""
    import av  # noqa: PLC0415 - an extra

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = pixels
        for levels in frames:
            source = "gray16le" if levels.dtype == np.uint16 else "gray"
            frame = av.VideoFrame.from_ndarray(levels, format=source).reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if tag:
        data = bytearray(path.read_bytes())
        at = data.find(b"strf") + 24  # after the sizes of the chunk and of the frame
        data[at : at + 4] = tag
        path.write_bytes(data)


def write_radiometric(path, celsius):
    """A JPEG with the raw levels of a FLIR camera in its APP1 segment, by Planck's law.

    The air is transparent and the emissivity 1, so that raw levels depend on the temperature alone.
    """
    constants = PLANCK
    kelvin = celsius + 273.15
    radiance = constants["r1"] / (constants["r2"] * (np.exp(constants["b"] / kelvin) - 1))
    raw = np.rint(radiance - constants["o"]).astype("<u2")
    height, width = raw.shape
    data = struct.pack("<HHH26x", 2, width, height) + raw.tobytes()
    camera = bytearray(900)
    for offset, value in (
        (32, 1.0), (36, 0.0), (40, 293.15), (44, 293.15), (48, 293.15), (52, 1.0), (60, 0.5),
        (88, constants["r1"]), (92, constants["b"]), (96, constants["f"]),
        (112, 0.006569), (116, 0.01262), (120, -0.002276), (124, -0.00667), (128, 1.9),
        (780, constants["r2"]),
    ):  # fmt: skip
        struct.pack_into("<f", camera, offset, value)
    struct.pack_into("<i", camera, 776, constants["o"])
    start = 64 + 2 * 32
    head = struct.pack(">4s16sIIII28x", b"FFF\0", b"test", 100, 64, 4, 2)
    entries = struct.pack(">HHIIII12x", 1, 2, 100, 1, start, len(data))
    entries += struct.pack(">HHIIII12x", 32, 1, 100, 2, start + len(data), len(camera))
    thermal = head.ljust(64, b"\0") + entries + data + bytes(camera)
    pieces = [thermal[k : k + 60000] for k in range(0, len(thermal), 60000)]
    Image.new("L", (width, height), 90).save(path, quality=90)
    jpeg = path.read_bytes()
    for number, piece in reversed(list(enumerate(pieces))):
        body = b"FLIR\0\x01" + bytes([number, len(pieces) - 1]) + piece
        jpeg = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    path.write_bytes(jpeg)


def write_images(top, shape):
    """Files of one frame; by name the centres of the spots, by frame."""
    (centres,) = spots(1, shape)
    gray, deep = scene(centres, shape).astype(np.uint8), scene(centres, shape, **DEEP)
    deep = deep.astype(np.uint16)
    image, found = Image.fromarray(gray), {}

    def place(name):
        found[name] = [centres]
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    image.save(place("png8/a.png"))
    Image.fromarray(deep).save(place("png16/a.png"))
    image.convert("RGB").save(place("pngrgb/a.png"))
    palette = Image.fromarray(gray, "P")
    palette.putpalette(bytes(np.repeat(np.arange(256, dtype=np.uint8), 3)))
    palette.save(place("palette/a.png"))
    image.save(place("jpg/a.jpg"), quality=95)
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(gray)))  # shown as gray
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(place("turned/a.jpg"), quality=95, exif=exif)
    image.save(place("bmp/a.bmp"))
    write_pgm(place("pgm14/a.pgm"), deep, 16383)
    tifffile.imwrite(place("tif8/a.tif"), gray)
    tifffile.imwrite(place("tif14/a.tif"), deep)
    tifffile.imwrite(place("tifkelvin/a.tif"), (deep / 30).astype(np.float32))
    tifffile.imwrite(place("tifsigned/a.tif"), (deep.astype(int) - 9000).astype(np.int16))
    tifffile.imwrite(place("tifwhite/a.tif"), 65535 - deep, photometric="miniswhite")
    cv2.imwritemulti(str(place("tiflzw/a.tif")), [deep])
    np.save(place("npy1/夜 空.npy"), (deep / 30).astype(np.float32))
    return found


def write_films(top, shape):
    """Files of several frames without an extra; by name the centres of the spots, by frame."""
    deep, places = film(FRAMES, shape, **DEEP)
    deep, found = deep.astype(np.uint16), {}

    def place(name):
        found[name] = places
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    tifffile.imwrite(place("红外 视频/film.tif"), deep, photometric="minisblack")
    np.save(place("npy/film.npy"), deep)
    np.savez_compressed(place("npz/film.npz"), frames=deep)
    deep.tofile(place("raw/film.raw"))
    return found


def write_radiometrics(top, shape):
    """A radiometric JPEG, which needs flyr."""
    (centres,) = spots(1, shape)
    (top / "flir").mkdir(parents=True, exist_ok=True)
    write_radiometric(top / "flir" / "a.jpg", scene(centres, shape, low=8, span=24, noise=0.2))
    return {"flir/a.jpg": [centres]}


def write_videos(top, shape):
    """Videos, which need PyAV; by name the centres of the spots, by frame."""
    (top / "video").mkdir(parents=True, exist_ok=True)
    gray, places = film(FRAMES, shape)
    deep, _ = film(FRAMES, shape, **DEEP)
    gray, deep = gray.astype(np.uint8), deep.astype(np.uint16)
    kinds = {
        "mjpeg.avi": (gray, "mjpeg", "yuvj420p", {"qscale": "2"}),
        "h264.mp4": (gray, "libx264", "yuv420p", {"crf": "8"}),
        "ffv1.mkv": (deep, "ffv1", "gray16le", {}),
        "tagged.avi": (deep, "rawvideo", "gray16le", {"tag": b"Y16 "}),
        "y16.avi": (deep, "rawvideo", "gray16le", {}),
    }
    for name, (frames, codec, pixels, options) in kinds.items():
        write_video(top / "video" / name, frames, codec, pixels, **options)
    return {f"video/{name}": places for name in kinds}


if __name__ == "__main__":
    folder, size = Path(sys.argv[1]), tuple(map(int, sys.argv[2:4])) or (48, 64)
    for write in (write_images, write_films, write_radiometrics, write_videos):
        for file, of in write(folder, size).items():
            print(file, *of)
