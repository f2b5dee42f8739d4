"""Folders at the top of the repository that the wheel takes into the package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

INSTALLED = (PACKAGE / "shipped").is_dir()
"""Whether this is an installed package and no clone."""


def shipped_folder(name: str) -> Path:
    """The folder of the notebooks or of the weights, in an installed package or in a clone.

    Args:
        name: "notebooks" or "weights"; pyproject.toml says which of their files travel in a wheel.

    Example:
        >>> (shipped_folder("notebooks") / "00_quickstart.ipynb").is_file()
        True
    """
    return (PACKAGE / "shipped" if INSTALLED else PACKAGE.parent) / name
