"""Where figures were measured, and the page that keeps them."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numba
import numpy
import scipy
import skimage
import torch

RESULTS = Path(__file__).parent / "RESULTS.md"


def machine(device: torch.device, threads: int) -> list[str]:
    """Device, versions and date, a line each."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return [
        f"Device: {name}, {threads} thread(s).",
        f"Versions: Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {numpy.__version__}, OpenCV {cv2.__version__}, numba {numba.__version__}, "
        f"scipy {scipy.__version__}, scikit-image {skimage.__version__}.",
        f"Date: {datetime.now(UTC):%Y-%m-%d}.",
        "",
    ]


def write_section(heading: str, lines: list[str]) -> None:
    """Replace one section of RESULTS.md."""
    head, *sections = RESULTS.read_text(encoding="utf-8").split("\n## ")
    kept = [section for section in sections if section.splitlines()[0] != heading]
    kept.append("\n".join([heading, "", *lines, ""]))
    RESULTS.write_text("\n## ".join([head, *sorted(kept)]), encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"CPU, {platform.machine()}"
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else f"CPU, {platform.machine()}"
