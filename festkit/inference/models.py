"""Open a FEST from an entry of the zoo, a weights file, or training runs."""

import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .._support.cards import saved_origin
from .._support.errors import InputError
from .._support.files import read_json
from .._support.names import normalize_name
from ..classical.registry import create_detector, list_detectors
from ..data.catalogue import dataset_name
from ..fest import FEST, SCALES_FILE
from ..pretrained import ENTRIES, FAMILIES, required_file, scales_of, trained
from ..pretrained.fetch import HUB, saved_fest
from ..runtime import ExportedModel
from ..runtime.exported import SUFFIXES
from ..training.run import Run
from ..weights import read_card


def load_fest(*sources: str | Path, device: str = "auto") -> FEST:
    """Load a FEST from the sources of :func:`festkit.open_model`, apart from exported files.

    Example:
        >>> load_fest("nuaa-sirst/acm-512-eedm", device="cpu").mean is None
        False
    """
    if len(sources) == 1 and (name := _detector(sources[0])):
        return FEST({name: create_detector(name)}, device=device)
    files = [file for source in sources for file in _weights_files(source)]
    whole = [file for file in files if read_card(file).get("kind") == "FEST"]
    if whole and len(files) > 1:
        raise InputError(
            f"{whole[0]} holds a whole FEST, which cannot be combined with other sources; pass it "
            "alone"
        )
    fest = FEST.load(files[0], device=device) if whole else FEST.from_weights(files, device=device)
    _warn_of_tuned(sources, fest)
    return fest


def trained_on(*sources: str | Path) -> dict[str, str | None]:
    """The datasets that a model was trained on, according to its cards.

    Args:
        sources: see :func:`festkit.open_model`.

    Returns:
        For every dataset, the fingerprint of its test images. None if the card lacks it, as for
        unions and weights of older versions.

    Example:
        >>> trained_on("nuaa-sirst/acm")
        {'NUAA-SIRST': 'db5b597dda2c'}
    """
    found: dict[str, str | None] = {}
    for source in sources:
        for card in _cards(source):
            names = dataset_name(card["dataset"]).split("+") if "dataset" in card else []
            found |= {name: card.get("test_split") if len(names) == 1 else None for name in names}
    return found


def _detector(source: str | Path) -> str | None:
    """The training-free detector of this name, if there is one."""
    by_name = {normalize_name(name): name for name in list_detectors()}
    return by_name.get(normalize_name(str(source)))


def _warn_of_tuned(sources: Sequence[str | Path], fest: FEST) -> None:
    """Runs open with their training's thresholds: the tuner's are in the FEST that it saved."""
    folders = [path for source in sources if (path := Path(source).expanduser()).is_dir()]
    for run in (run for folder in folders for run in _runs(folder)):
        tuned = {"th1": fest.th1, "th2": fest.th2, "rule": fest.rule} | run.record.get("tuned", {})
        own = f"{tuned['th1']} / {tuned['th2']} ({tuned['rule']})"
        current = f"{fest.th1} / {fest.th2} ({fest.rule})"
        if own != current and tuned["scales"] == list(fest.backbones):
            warnings.warn(
                f"{run.folder} was tuned to {own}, but opens with {current}. The tuned thresholds "
                "are in the FEST that the tuner saved: fest-tuned-*.safetensors in the run folder "
                "or, for several runs, next to them",
                stacklevel=3,
            )
            return


def _cards(source: str | Path) -> list[dict[str, Any]]:
    """What is known of every scale; a run's record says more than its weights."""
    if _detector(source):
        return []
    path = Path(source).expanduser()
    if path.suffix in SUFFIXES:
        return [ExportedModel(path).card.get("origin") or {}]
    if path.is_dir() and (runs := _runs(path)):
        return [run.record for run in runs]
    files = _weights_files(source)
    cards = [read_card(file) for file in files]
    if cards[0].get("kind") == "FEST":
        return [saved_origin(cards[0], files[0]) or {}]
    return cards


def _weights_files(source: str | Path) -> list[Path]:
    """The weights files of a source, one for every scale or one of a whole FEST."""
    if str(source).startswith(HUB):
        return [saved_fest(source)]
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix != ".safetensors":
            raise InputError(
                f"{path} is not a .safetensors file; read a published checkpoint with "
                "festkit.import_state_dict and pass its network to FEST"
            )
        return [path]
    if path.is_dir():
        runs = _runs(path)
        for run in runs:
            _ = run.record  # refuses one that has not finished
        return [run.weights for run in runs] or [_only_fest(path)]
    asked = normalize_name(str(source))
    names = [name for name in (*ENTRIES, *FAMILIES) if normalize_name(name) == asked]
    if not names:
        raise InputError(
            f"{source} is not a file, a folder, or an entry of the zoo. Similar entries: "
            f"{', '.join(_nearest(str(source)))}; festkit zoo list prints all"
        )
    return [required_file(scale) for scale in scales_of(names[-1])]


def _runs(folder: Path) -> list[Run]:
    """The run of a folder, or the runs by size that FEST.fit has put into it, in its order.

    Empty if the folder holds saved FESTs instead.
    """
    scales = folder / SCALES_FILE
    if not scales.is_file():
        run = Run(folder)
        return [run] if run.finished or not _saved_fests(folder) else []
    record = read_json(scales)
    sizes = record.get("sizes") if isinstance(record, dict) else None
    if not isinstance(sizes, list):
        raise InputError(
            f"{scales} does not list its sizes; pass the run folders instead of {folder}"
        )
    return [Run(folder / str(size)) for size in sizes]


def _saved_fests(folder: Path) -> list[Path]:
    """The files of a folder that :meth:`FEST.save` has written."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if read_card(file).get("kind") == "FEST"]


def _only_fest(folder: Path) -> Path:
    """The FEST in a folder."""
    first, *others = _saved_fests(folder)
    if others:
        names = ", ".join(file.name for file in [first, *others])
        raise InputError(f"{folder} contains several FESTs ({names}); pass one of these files")
    return first


def _nearest(source: str) -> list[str]:
    """Up to four names of the zoo whose weights are here, families first."""
    here = set(trained())
    known = [name for name in (*FAMILIES, *ENTRIES) if here.issuperset(scales_of(name))]
    holding = [name for name in known if normalize_name(source) in normalize_name(name)]
    return (holding or get_close_matches(source, known, cutoff=0.3) or known)[:4]
