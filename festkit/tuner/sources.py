"""Where probability maps come from: arrays, training runs, a FEST and a dataset, image files."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._support.errors import InputError, MissingFileError
from .._support.files import write_json
from .._support.locks import file_lock
from .._support.names import counted
from .._support.progress import progress
from ..data.dataset import Dataset, Sample
from ..data.images import EXTENSIONS, Mask, read_raster
from ..data.levels import FileSet
from ..data.pairing import files_by_name
from ..fest import FEST
from ..fusion import fuse
from ..model import Model
from ..ops.size_classes import MOST_SHARE
from ..pretrained.scales import Key, keys_of
from ..training.run import LOCK, Run
from ..training.stored_maps import open_maps
from .frames import DETECT, Frame, Source, cached, make_frame
from .map_files import check_maps, read_map

Images = Sequence[Any] | Mapping[str, Any]

FEST_FILE = "fest-tuned-{}.safetensors"
"""Name of the FEST that saved thresholds of runs go into, as :func:`fest_path` fills it in."""

LONGEST = 150
"""Bytes of what is filled in; a file's whole name may have 255, and needs some while written."""


def of_arrays(
    probs: Images,
    masks: Images | None,
    images: Images | None,
    names: Sequence[str] | None,
    scale_maps: Images | None,
) -> Source:
    """Maps in memory; all are checked immediately.

    Raises:
        ValueError: if there are no maps, their numbers differ, names are not unique, or a map does
            not fit its image.
    """
    if names is None:
        names = [str(name) for name in (probs if isinstance(probs, Mapping) else range(len(probs)))]
    if not names:
        raise InputError("no probability maps given; pass at least one map (H, W)")
    if len(set(names)) < len(names):
        raise InputError("names must be unique; two images have the same name")
    given = {"probability maps": probs, "scale maps": scale_maps, "images": images, "masks": masks}
    listed = [_listed(what, values, names) for what, values in given.items()]
    frames = [
        make_frame(name, prob, () if scales is None else scales, image, mask)
        for name, prob, scales, image, mask in zip(names, *listed, strict=True)
    ]
    if len({len(frame.scales) for frame in frames}) > 1:
        raise InputError("all images need the same number of scale maps")
    code = DETECT.format(", scale_maps=scale_maps") if frames[0].scales else None
    title = counted(len(frames), "probability map")
    return Source(title, tuple(names), frames.__getitem__, per_scale_code=code)


def of_runs(
    runs: Sequence[Run], *, split: str, dataset: str | Path | None, root: str | Path | None
) -> Source:
    """The stored maps of one training run, or of several that are the scales of a FEST.

    Args:
        runs: finished runs on the same images.
        split: "test", or "holdout" (the training images held out for validation).
        dataset: name or folder of the images; default: the dataset of the run, see
            :func:`open_maps`.
        root: folder of the datasets; default: FESTKIT_DATA, else ``data``.

    Raises:
        FileNotFoundError: if a run has not finished, or its maps or images are missing.
        ValueError: if there are no runs, the split is unknown, the images differ from those of the
            runs, or maps are damaged.
    """
    record, keys = runs[0].record if runs else {}, _keys(runs)
    if len(set(keys)) < len(keys):
        raise InputError(f"the runs have the scales {keys}; every run needs a different one")
    if 1 < len(runs) < len(keys):
        raise InputError(
            f"the runs have the scales {keys}, but only one map for several factors of a network; "
            "tune that run alone, or tune the FEST of these runs on a dataset"
        )
    maps = open_maps(*runs, split=split, dataset=dataset, root=root)
    rule = "{rule}" if len(keys) == len(runs) else "fused"
    tuned = record.get("tuned", {})
    folders = [repr(run.folder.as_posix()) for run in runs]
    paths = ", ".join(folders).replace("{", "\\x7b")  # the page fills in braces
    return Source(
        maps.title,
        maps.dataset.names,
        cached(lambda index: _frame(*maps[index])),
        start=tuned if tuned.get("scales") == keys else {},
        code=f"import festkit as fk\n\nfest = fk.FEST.from_runs([{paths}], "
        f'th1={{th1}}, th2={{th2}}, rule="{rule}")\ndetection = fest.predict(image)',
        images=_provenance(maps.dataset, split, record[f"{maps.dataset.split}_split"]),
        keep=partial(_save_to_runs, runs),
        close=maps.close,
    )


def of_fest(fest: Model, dataset: Dataset) -> Source:
    """Maps computed by a FEST on every image of a dataset; they stay in memory."""
    if not len(dataset):
        raise InputError(f"{dataset.name} ({dataset.split}) has no images")
    maps = [fest.scale_maps(sample.image) for sample in progress(dataset, "mapping", unit="image")]

    def read(index: int) -> Frame:
        return _frame(dataset[index], fuse(maps[index], maps[index][0].shape), maps[index])

    return Source(
        f"FEST on {dataset.name}, {dataset.split} images",
        dataset.names,
        cached(read),
        start={"th1": fest.th1, "th2": fest.th2, "rule": fest.rule},
        code='fest.th1, fest.th2, fest.rule = {th1}, {th2}, "{rule}"\n'
        "detection = fest.predict(image)",
        images=_provenance(dataset, dataset.split, dataset.fingerprint),
        keep=partial(_save_to_fest, fest),
    )


def of_folder(
    probs: str | Path,
    images: str | Path | None = None,
    masks: str | Path | None = None,
    *,
    allow_missing: bool = False,
) -> Source:
    """Probability maps in gray image files of 8 or 16 bit; white is probability 1.

    If no file has a level above 1, the files are masks of 0 and 1.

    Args:
        probs: folder of the maps.
        images: folder of the images, with the same names up to the suffix.
        masks: folder of the true masks, likewise, or with ``_pixels0`` after the name.
        allow_missing: skip names that one of the folders lacks, with a warning.

    Raises:
        FileNotFoundError: if a folder is missing, or lacks a file that another folder has.
        ValueError: if the folder has no image files, two files with the same name, an unreadable
            file, or a file that is not a probability map (see :func:`check_maps`).
    """
    folders = [folder for folder in (probs, images, masks) if folder is not None]
    for folder in folders:
        if not Path(folder).is_dir():
            raise MissingFileError(f"no such folder: {Path(folder).absolute()}")
    files = {folder: files_by_name(Path(folder)) for folder in folders}
    maps = files[probs]
    if not maps:
        raise InputError(f"{probs} contains no image files ({', '.join(EXTENSIONS)})")
    names, left_out = _names_of_all(files, allow_missing=allow_missing)
    are_masks = check_maps([maps[name] for name in names])
    grays, truths = ({} if folder is None else files[folder] for folder in (images, masks))
    alike = FileSet(tuple(grays.values()), tuple(truths.values()))

    def read(index: int) -> Frame:
        name = names[index]
        raster = read_map(maps[name])
        return make_frame(
            name,
            raster.levels.astype(np.float32) if are_masks else raster.probability,
            image=alike.gray(read_raster(grays[name])) if grays else None,
            mask=_as_targets(truths[name], alike.mask(truths[name]).mask) if truths else None,
        )

    title = f"{counted(len(names), 'mask' if are_masks else 'probability map')} in "
    title += Path(probs).name + (f", {left_out} left out" if left_out else "")
    return Source(title, names, cached(read))


def _names_of_all(
    files: Mapping[str | Path, Mapping[str, Path]], *, allow_missing: bool
) -> tuple[tuple[str, ...], int]:
    """Names that every folder has a file for, and how many others there are."""
    holders = {name: folder for folder in reversed(list(files)) for name in files[folder]}
    every = dict.fromkeys(name for there in files.values() for name in there)
    faults = []
    for folder, there in files.items():
        if lacking := [name for name in every if name not in there]:
            first, number = lacking[0], f"{len(lacking)} of {len(every)} names are missing"
            faults.append(f"{folder} has no file for {first} of {holders[first]} ({number})")
    names = tuple(name for name in every if all(name in there for there in files.values()))
    fault = "; ".join(faults)
    if fault and not (allow_missing and names):
        remedy = "add the files, or pass allow_missing=True to skip these names"
        raise MissingFileError(f"{fault}; {remedy}")
    if fault:
        warnings.warn(f"{fault}; these names are skipped in all metrics", stacklevel=4)
    return names, len(every) - len(names)


def fest_path(runs: Sequence[Run]) -> Path:
    """Path of the FEST of these runs, unique to this combination of runs.

    For one run, the file is in the run folder and named after the size. For several runs, it is
    next to the first run folder and named after all of them. A hash is added if names are shortened
    or the folders have different parents.

    Example:
        >>> fest_path([Run(Path("runs/64-eedm")), Run(Path("runs/96-eedm"))]).name
        'fest-tuned-64-eedm+96-eedm.safetensors'
    """
    first = runs[0].folder
    if len(runs) == 1:
        return first / FEST_FILE.format(runs[0].record["size"])
    folders = [run.folder.resolve() for run in runs]
    name = "+".join(folder.name for folder in folders)
    cut = name.encode()[:LONGEST].decode(errors="ignore")
    if cut != name or len({folder.parent for folder in folders}) > 1:
        places = "\n".join(map(str, folders))
        name = f"{cut}-{hashlib.sha256(places.encode()).hexdigest()[:8]}"
    return folders[0].parent / FEST_FILE.format(name)


def _listed(what: str, given: Images | None, names: Sequence[str]) -> Sequence[Any]:
    """One entry per name, None where nothing was given."""
    if given is None:
        return [None] * len(names)
    if isinstance(given, Mapping):
        given = [given.get(name) for name in names]
    if len(given) != len(names):
        raise InputError(f"{len(given)} {what} for {len(names)} images; pass one per image")
    lacking = [name for name, entry in zip(names, given, strict=True) if entry is None]
    if lacking:
        name = lacking[0]
        raise InputError(
            f"{what} have no entry for image {name!r}; pass one per image, or omit them"
        )
    return given


def _provenance(dataset: Dataset, split: str, fingerprint: str) -> dict[str, str]:
    """Which images thresholds are chosen on, and the protocol that this makes it."""
    return {
        "dataset": dataset.name,
        "split": split,
        f"{dataset.split}_split": fingerprint,
        "protocol": split if split in {"holdout", "train"} else "paper",
    }


def _save_to_runs(runs: Sequence[Run], tuned: dict[str, Any]) -> str:
    """Save a FEST with the thresholds, and write them into the records of the runs.

    The stored map of a run at several scale factors is their mean: so weak targets are of the fused
    map.
    """
    keys = _keys(runs)
    if len(keys) > len(runs):
        tuned = tuned | {"rule": "fused"}
    try:
        fest = FEST.from_runs(runs)
        _save_to_fest(fest, tuned)
        saved = f"FEST.load({str(fest.save(fest_path(runs)))!r})"
    except ValueError as error:  # a network that is not of the catalogue
        saved = f"no FEST, since {error}"
    entry = tuned | {"scales": keys}
    for run in runs:
        with file_lock(run.folder / LOCK):
            write_json(run.folder / "record.json", run.record | {"tuned": entry})
    return f"record.json of {' and '.join(run.folder.name for run in runs)}; {saved}"


def _keys(runs: Sequence[Run]) -> list[Key]:
    """The sizes and scale factors of the runs, as the keys of their FEST."""
    return [key for run in runs for key in keys_of(run.record)]


def _save_to_fest(fest: Model, tuned: dict[str, Any]) -> str:
    """Set the thresholds of a FEST."""
    fest.th1, fest.th2, fest.rule = tuned["th1"], tuned["th2"], tuned["rule"]
    fest.chosen_on = tuned
    return "the FEST, whose predict uses them from now on"


def _as_targets(path: Path, mask: Mask) -> Mask:
    """The mask, with a warning where it seems to be inverted."""
    if mask.mean() > MOST_SHARE:
        warnings.warn(
            f"{path} marks {100 * mask.mean():.1f} % of the image as target and may be inverted; "
            "targets are white on black",
            stacklevel=3,
        )
    return mask


def _frame(sample: Sample, prob: Any, scales: Sequence[Any]) -> Frame:
    """A sample with its maps; that of a single scale is the fused map itself."""
    own = scales if len(scales) > 1 else ()
    return make_frame(sample.name, prob, own, sample.image, sample.mask)
