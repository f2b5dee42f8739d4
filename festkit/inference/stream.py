"""Read files of frames one after the other, with what an earlier call has finished of them."""

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frames import Frame
from .gray import GrayRule, GrayRules
from .journal import Journal
from .outputs import picture_file
from .sources import Source

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, after which nothing more can be written."""


@dataclass(frozen=True, eq=False)
class Begin:
    """A file is opened.

    Attributes:
        source: the file.
        journal: its finished frames.
        count: number of its frames, 0 if unknown.
    """

    source: Source
    journal: Journal
    count: int


@dataclass(eq=False)
class Seen:
    """A frame is read.

    Attributes:
        source: its file.
        journal: where its record goes.
        facts: what is known of the file.
        record: the record of an earlier call, if any.
        frame: its levels; None for finished frames of which no picture is missing.
        rule: how the levels become gray.
        gray: (H, W) uint8, if it has been prepared.
        complaint: what was wrong with its levels, or an empty text.
    """

    source: Source
    journal: Journal
    facts: dict[str, Any]
    record: dict[str, Any] | None
    frame: Frame | None = None
    rule: GrayRule | None = None
    gray: NDArray[np.uint8] | None = None
    complaint: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width [px]."""
        if self.record:
            return self.record["height"], self.record["width"]
        return self.frame.raster.levels.shape if self.frame else ()

    def prepare(self) -> NDArray[np.uint8]:
        """The gray levels."""
        if self.gray is None and self.frame and self.rule:
            number = f" frame {self.frame.number}" if self.facts["many"] else ""
            name = f"{self.source.name}{number}"
            levels = self.frame.raster.levels
            self.gray, self.complaint = self.rule.gray(self.frame.raster, name)
            if levels.min() == levels.max():
                self.complaint = f"{name} has the level {levels.flat[0]:g} everywhere"
        assert self.gray is not None
        return self.gray


@dataclass(frozen=True, eq=False)
class End:
    """A file is done, or could not be read further.

    Attributes:
        source: the file.
        journal: its finished frames; None if the file could not be opened.
        facts: what is known of the file.
        fault: why it could not be read to its end, or an empty text.
    """

    source: Source
    journal: Journal | None
    facts: dict[str, Any]
    fault: str = ""


Event = Begin | Seen | End


@dataclass(frozen=True)
class Reader:
    """Reads the files of a run.

    Attributes:
        out: folder of the outputs.
        rules: levels and polarity by file.
        pictures: pictures that are wanted, for which finished frames are read again.
    """

    out: Path
    rules: GrayRules
    pictures: tuple[str, ...]

    def read(self, sources: Iterable[Source]) -> Iterator[Event]:
        """All files, frame by frame; faults end a file.

        Raises:
            OSError: if the disk is full.
        """
        for source in sources:
            facts: dict[str, Any] = {"image": source.name}
            journal, fault = None, ""
            try:
                before = source.stamp()
                journal = Journal(self.out / "journal" / f"{source.name}.jsonl", source.digest())
                yield from self._read_file(source, journal, facts)
                if source.stamp() != before:
                    fault = f"{source.path} changed while it was read; run the same command again"
            except (ValueError, OSError) as error:
                if is_full(error):
                    raise
                fault = str(error)
            yield End(source, journal, facts, fault)

    def _read_file(
        self, source: Source, journal: Journal, facts: dict[str, Any]
    ) -> Iterator[Event]:
        """The frames of one file."""
        drawn = [picture_file(self.out, name, source, source.stem) for name in self.pictures]
        if journal.facts and all(path.is_file() for path in drawn):
            facts |= journal.facts
            yield Begin(source, journal, facts["frames"])
            for kept in journal.records():
                yield Seen(source, journal, facts, kept)
            return
        records = journal.records()
        record: Any = next(records, None)
        with source.open() as file:
            facts |= {"many": not file.is_still, "rate": file.rate, "frames": 0}
            yield Begin(source, journal, file.count)
            for frame, rule in self.rules.apply(source, file):
                if not facts["frames"]:
                    facts |= rule.facts | {"type": str(frame.raster.levels.dtype)}
                facts["frames"] += 1
                while record and record["frame"] < frame.number:
                    record = next(records, None)
                same = record if record and record["frame"] == frame.number else None
                seen = Seen(source, journal, facts, same, frame, rule)
                if self.pictures or not same:
                    seen.prepare()
                yield seen


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk is full.

    Example:
        >>> is_full(OSError(errno.ENOSPC, "No space left on device"))
        True
    """
    return isinstance(error, OSError) and error.errno in FULL


def in_batches(events: Iterable[Event], most: int) -> Iterator[list[Event]]:
    """Events in order, in lists with up to ``most`` frames of one size.

    Example:
        >>> [len(events) for events in in_batches([End(Source(Path(), ""), None, {})], 8)]
        [1]
    """
    batch: list[Event] = []
    shapes: list[tuple[int, ...]] = []
    for event in events:
        if isinstance(event, Seen):
            if shapes and (len(shapes) == most or event.shape != shapes[0]):
                yield batch
                batch, shapes = [], []
            shapes.append(event.shape)
        batch.append(event)
    yield batch
