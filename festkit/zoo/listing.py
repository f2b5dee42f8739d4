"""The zoo as a table, printed without torch."""

from typing import Any

from .. import pretrained

HEAD = ("entry", "FEST", "state", "IoU", "Pd", "Fa e-6", "Score", "MB", "minutes")


def listing() -> str:
    """One line per entry, in the order of training, then one per FEST with trained scales.

    Metrics are those of the record, on the test images of the entry's own dataset, with adjustable
    sensitivity at the card's thresholds (BCE: without). Minutes of wall-clock time are measured,
    or estimated ("~") on one CPU core and an H100.

    Example:
        >>> listing().split()[:3]
        ['entry', 'FEST', 'state']
    """
    rows = [HEAD, *map(_entry_row, pretrained.ENTRIES.values())]
    rows += [_family_row(family) for family in pretrained.FAMILIES.values() if _has_scales(family)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _entry_row(entry: pretrained.Entry) -> tuple[str, ...]:
    record, family = pretrained.read_record(entry.name), pretrained.family_of(entry.name)
    without = entry.config.loss == "BCE"
    path = pretrained.weights_file(entry.name)
    state = "trained" if path.is_file() else "not here" if record else "not trained"
    return (
        entry.name,
        family.name if family and entry.name in family.scales else "–",
        state,
        *_metrics(record, 0 if without else 1),
        f"{path.stat().st_size / 1e6:.1f}" if path.is_file() else "–",
        _minutes(entry, record),
    )


def _has_scales(family: pretrained.Family) -> bool:
    """Whether a FEST of several sizes has weights of one of them."""
    return len(family.scales) > 1 and any(name in pretrained.trained() for name in family.scales)


def _family_row(family: pretrained.Family) -> tuple[str, ...]:
    here = sum(name in pretrained.trained() for name in family.scales)
    record = pretrained.fused_record(family)
    old = record is not None and pretrained.outdated(record)
    return (
        family.name,
        " + ".join(name.removeprefix(f"{family.name}-") for name in family.scales),
        f"{here} of {len(family.scales)} trained{', to be measured again' if old else ''}",
        *_metrics(None if old else record, 1),
        "–",
        "–",
    )


def _metrics(record: dict[str, Any] | None, row: int) -> tuple[str, ...]:
    if record is None:
        return ("–",) * 4
    found = record["test"][row]
    percent = [found["iou"], found["pd"], found["score"] if found["valid"] else None]
    iou, pd, score = ("–" if value is None else f"{100 * value:.2f}" for value in percent)
    return iou, pd, f"{1e6 * found['fa']:.2f}", score


def _minutes(entry: pretrained.Entry, record: dict[str, Any] | None) -> str:
    if record is not None and record["minutes"] is not None:
        return f"{record['minutes']:.0f} {record['device']}"
    cpu = "" if entry.cpu_minutes is None else f"~{entry.cpu_minutes} cpu, "
    return f"{cpu}~{entry.gpu_minutes} H100"
