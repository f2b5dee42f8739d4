"""Draw the contact sheet: ``python -m festkit.scenes OUT.png``."""

import sys

import cv2

from .._support.files import atomic_write
from .sheet import default_sheet

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m festkit.scenes OUT.png")
    with atomic_write(sys.argv[1]) as part:
        _, packed = cv2.imencode(".png", default_sheet(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        part.write_bytes(packed.tobytes())
