"""How hard a set is: which backgrounds, how many targets, how strong, how large, how noisy."""

from dataclasses import dataclass


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


PRESETS = {
    "easy": Preset(
        families={"sky": 4, "cloud": 4, "ocean": 1, "field": 0.5, "city": 1, "highlight": 1},
        counts=(0, 0.8, 0.2),
        kinds=(0.05, 0.75, 0.2),
        scr=(20, 0.4, 8, 40),
        contrast=30,
        noise=(0.3, 1.5),
    ),
    "nuaa": Preset(
        families={
            "sky": 2.2,
            "cloud": 3.6,
            "ocean": 1.2,
            "field": 0.9,
            "city": 1.2,
            "highlight": 0.9,
        },
        counts=(0, 0.8, 0.12, 0.04, 0.02, 0.01, 0.01),
        kinds=(0.08, 0.8, 0.12),
        scr=(10.2, 0.9, 1, 46),
        contrast=20,
        noise=(0.3, 2.5),
    ),
    "hard": Preset(
        families={"sky": 1, "cloud": 2.5, "ocean": 2, "field": 2, "city": 2, "highlight": 1.5},
        counts=(0.06, 0.5, 0.2, 0.12, 0.06, 0.03, 0.03),
        kinds=(0.35, 0.6, 0.05),
        scr=(4, 0.6, 1, 12),
        contrast=8,
        noise=(1, 6),
    ),
}
