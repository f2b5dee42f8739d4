"""Images that two datasets of a union share."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from .catalogue import images_of
from .pairing import Pair


def shared_images(members: Mapping[str, Sequence[Pair]]) -> Iterator[str]:
    """One sentence for every two datasets that share images.

    Known datasets share those that the catalogue names. Others are compared file by file, so that
    a picture that was stored again is not found.

    Args:
        members: the files of each dataset, by its name.

    Example:
        >>> list(shared_images({"NUAA-SIRST": [], "SIRST-V2": []}))
        ['NUAA-SIRST and SIRST-V2 both contain images of NUAA-SIRST, so that these count twice']
    """
    for first, second in combinations(members, 2):
        known = sorted(images_of([first]) & images_of([second]))
        if known:
            yield (
                f"{first} and {second} both contain images of {', '.join(known)}, so that these"
                " count twice"
            )
        elif same := _same_files(members[first], members[second]):
            one, other = same[0]
            yield (
                f"{len(same)} images of {second} are also in {first}, so that these count twice"
                f" ({other} = {one})"
            )


def _same_files(first: Sequence[Pair], second: Sequence[Pair]) -> list[tuple[str, str]]:
    """Names of images with equal files; only files of one size are read."""
    by_size: dict[int, list[Pair]] = defaultdict(list)
    for pair in first:
        by_size[_size(pair.image)].append(pair)
    digests: dict[str, str] = {}
    found = []
    for pair in second:
        alike = by_size.get(_size(pair.image), []) if pair.image.is_file() else []
        digests |= {_digest(other.image): other.name for other in alike if other.image.is_file()}
        if alike and (name := digests.get(_digest(pair.image))):
            found.append((name, pair.name))
    return found


def _size(path: Path) -> int:
    """Bytes of a file, -1 if it is missing."""
    return path.stat().st_size if path.is_file() else -1


def _digest(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
