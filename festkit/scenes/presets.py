"""Difficulty presets: backgrounds, number, strength and size of targets, noise."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Ranges from which scenes are drawn.

    Attributes:
        families: weight of each background family.
        counts: probability of 0, 1, 2, ... targets.
        kinds: probability of point, spot and extended targets.
        scr: median, spread (of the logarithm), lowest and highest stated SCR.
        contrast: lowest contrast of a target, gray levels.
        noise: range of the sensor noise, gray levels.
    """

    families: dict[str, float]
    counts: tuple[float, ...]
    kinds: tuple[float, float, float]
    scr: tuple[float, float, float, float]
    contrast: float
    noise: tuple[float, float]


def _preset(entry: dict[str, Any]) -> Preset:
    """The preset of a TOML table, whose arrays become tuples."""
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return Preset(**entry | lists)


_TABLES = tomllib.loads(Path(__file__).with_name("presets.toml").read_text("utf-8"))

PRESETS = {name: _preset(entry) for name, entry in _TABLES.items()}
