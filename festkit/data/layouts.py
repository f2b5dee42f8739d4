"""The table of layouts of dataset folders, ``layouts.toml``; a new layout is one more entry there.

``folders`` recognises the layout of a folder by what it holds and pairs the files.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Patterns = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the files of a dataset are; ``layouts.toml`` explains the patterns.

    Attributes:
        name: name of the layout.
        images: patterns of the images; by split if every split has its own.
        masks: patterns of the masks, or of the labels.
        code: number in the documentation, such as A1 or B7; empty for layouts without one.
        lists: patterns of the list files; empty if every split has folders of its own.
        needs: patterns of which each must be there.
        roots: folders within the dataset folder that may hold all of this.
        labels: form of labels that are no masks; empty for masks.
        sequences: whether the folders of the images are sequences.
    """

    name: str
    images: Patterns | Mapping[str, Patterns]
    masks: Patterns | Mapping[str, Patterns]
    code: str = ""
    lists: Patterns = ()
    needs: Patterns = ()
    roots: Patterns = ("",)
    labels: str = ""
    sequences: bool = False

    @property
    def by_folder(self) -> bool:
        """Whether every split has folders of its own."""
        return isinstance(self.images, Mapping) or any("{split}" in each for each in self.images)

    def of_split(self, split: str, word: str) -> "Layout":
        """The layout of one split, which the folder calls by a word."""
        kinds = (_of_split(kind, split, word) for kind in (self.images, self.masks))
        return replace(self, images=next(kinds), masks=next(kinds))

    @property
    def title(self) -> str:
        """Code and name."""
        return f"{self.code} {self.name}".strip()

    @property
    def places(self) -> str:
        """Where images and masks are."""
        return _splits(" ".join((*_shown(self.images), *_shown(self.masks))))

    def __str__(self) -> str:
        return f"{self.title}: {self.places} {_splits(' or '.join(self.lists))}".rstrip()


def _splits(text: str) -> str:
    """Patterns with the words of the splits."""
    return text.replace("{split}", "{train,test}")


def _of_split(kind: Patterns | Mapping[str, Patterns], split: str, word: str) -> Patterns:
    """Patterns of one split; none if the split has none."""
    patterns = kind.get(split, ()) if isinstance(kind, Mapping) else kind
    return tuple(pattern.replace("{split}", word) for pattern in patterns)


def _shown(kind: Patterns | Mapping[str, Patterns]) -> Iterator[str]:
    """Patterns as people write them: a folder for all files in it."""
    groups = kind.values() if isinstance(kind, Mapping) else (kind,)
    for pattern in (pattern for group in groups for pattern in group):
        yield pattern.removesuffix("{name}") or "./"


def _layout(**row: Any) -> Layout:
    """A row of the table, whose lists become tuples."""
    for key, value in row.items():
        if isinstance(value, dict):
            row[key] = {split: tuple(patterns) for split, patterns in value.items()}
        elif isinstance(value, list):
            row[key] = tuple(value)
    return Layout(**row)


_FILE = Path(__file__).with_name("layouts.toml")

LAYOUTS = tuple(_layout(**row) for row in tomllib.loads(_FILE.read_text("utf-8"))["layout"])
"""In the order in which they are tried."""


def describe_layouts() -> str:
    """The table as text, in the order in which the layouts are tried.

    Example:
        >>> print(describe_layouts()[:80])
        A4   SIRST-V2
             images  mixed/ images/targets/ images/backgrounds/
             masks
    """
    lines = []
    for layout in LAYOUTS:
        rows = {
            "images": " ".join(_shown(layout.images)) or "none",
            "labels" if layout.labels else "masks": " ".join(_shown(layout.masks)),
            "form": f"{layout.labels}; the masks drawn from them are weak" * bool(layout.labels),
            "lists": " or ".join(layout.lists),
            "within": " or ".join(root for root in layout.roots if root),
            "needs": ", ".join(layout.needs).replace(" | ", " or "),
        }
        lines.append(f"{layout.code:5}{layout.name}")
        lines += [f"     {key:8}{row}" for key, row in rows.items() if row]
    return _splits("\n".join(lines))
