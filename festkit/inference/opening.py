"""A FEST by what it is called: an entry of the zoo, a file, or training runs."""

from pathlib import Path
from typing import Any

from .._entries import ENTRIES, FAMILIES, scales_of
from .._names import find_name
from .._run import Run
from .._shelf import required_file
from ..fest import FEST
from ..weights import read_card


def open_fest(*sources: str | Path, device: str = "auto") -> FEST:
    """Open what predicts, from one source, or from several that are the scales of a FEST.

    Args:
        sources: each a name of the zoo ("nuaa-sirst/acm" is the FEST of its sizes, all of which
            must be here, "nuaa-sirst/acm-512-eedm" one of them), a weights file, or the folder of a
            finished run; or one file written by :meth:`FEST.save`.
        device: on which it predicts: "cpu", "cuda", "mps", or "auto": the fastest at hand.

    Returns:
        The FEST, with the thresholds of its (first) card.

    Raises:
        FileNotFoundError: if the zoo's weights are not here, or a run has not finished.
        ValueError: for no source, an unknown name, sources that are not scales of one FEST, or a
            device that is not at hand.

    Example:
        >>> fest = open_fest("nuaa-sirst/acm", device="cpu")
        >>> list(fest.backbones), fest.th1, fest.th2
        ([512, 768], 0.5, 0.1)
    """
    files = [file for source in sources for file in _weights_files(source)]
    whole = [file for file in files if read_card(file).get("kind") == "FEST"]
    if whole and len(files) > 1:
        raise ValueError(
            f"{whole[0]} holds a whole FEST, which takes no further scales; pass it alone"
        )
    fest = FEST.load(files[0]) if whole else FEST.from_weights(files)
    return fest.to(device)


def trained_on(*sources: str | Path) -> dict[str, str | None]:
    """The datasets that something was trained on, as far as its cards say.

    Args:
        sources: as in :func:`open_fest`.

    Returns:
        By name the fingerprint of the dataset's test images; None where the card does not say it,
        as for the parts of a union and the weights file of a run. Nothing of a file written by
        :meth:`FEST.save`, which does not say it.

    Example:
        >>> trained_on("nuaa-sirst/acm")
        {'NUAA-SIRST': 'db5b597dda2c'}
    """
    found: dict[str, str | None] = {}
    for source in sources:
        for card in _cards(source):
            names = card["dataset"].split("+") if "dataset" in card else []
            found |= {name: card.get("test_split") if len(names) == 1 else None for name in names}
    return found


def _cards(source: str | Path) -> list[dict[str, Any]]:
    """What is known of every scale; a run's record says more than its weights."""
    path = Path(source).expanduser()
    return [Run(path).record] if path.is_dir() else [read_card(f) for f in _weights_files(source)]


def _weights_files(source: str | Path) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix != ".safetensors":
            raise ValueError(
                f"{path} is no .safetensors file; a published checkpoint is read by "
                "festkit.import_state_dict, whose network goes into FEST"
            )
        return [path]
    if path.is_dir():
        run = Run(path)
        _ = run.record  # refuses one that has not finished
        return [run.weights]
    try:
        name = find_name("entry of the zoo", str(source), [*ENTRIES, *FAMILIES])
    except ValueError as error:
        raise ValueError(f"{source} is no file, no folder, and an {error}") from error
    return [required_file(scale) for scale in scales_of(name)]
