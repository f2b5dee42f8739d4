"""Tensor names of published checkpoints and what festkit calls them, from ``published.toml``."""

import re
import tomllib
from importlib.resources import files

_TABLES = tomllib.loads(files(__package__).joinpath("published.toml").read_text(encoding="utf-8"))


def rename_published(name: str, backbone: str) -> str | None:
    """What festkit calls a tensor of a published checkpoint.

    Returns:
        The name; None for a tensor that no path of the published network reaches.

    Raises:
        KeyError: if the published network has no such tensor.

    Example:
        >>> rename_published("stage.layer1.3.weight", "MLCL-Net")
        'stem.1.0.weight'
    """
    rows = dict(_TABLES.get(backbone, {}))
    words = rows.pop("words", {})
    module, _, last = name.rpartition(".")
    path = ".".join(words.get(part, part) for part in module.split("."))
    for pattern, ours in rows.items():
        if match := re.fullmatch(pattern, path):
            return f"{_fill(ours, match)}.{last}" if ours else None
    raise KeyError(name)


def _fill(ours: str, match: re.Match[str]) -> str:
    """Replace $1 by the first group and {$1-1} by the difference."""
    filled = re.sub(r"\$(\d)", lambda group: match[int(group[1])], ours)
    return re.sub(r"\{(\d)-(\d)\}", lambda pair: str(int(pair[1]) - int(pair[2])), filled)
