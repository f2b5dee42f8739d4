"""Trained weights: which exist, where their files are, and how they arrive.

Reading order: `catalogue` (entries and families, from `entries.toml`), `files` (weights and their
records), `fetch` (downloads, from a web server or the Hugging Face hub), `model_card`, `scales`
(the cards and the file of a FEST's networks). The last three are imported where they are used:
listings need neither torch nor a web client.
"""

from .catalogue import (
    ENTRIES,
    FAMILIES,
    UNION,
    UNIVERSAL,
    Entry,
    Family,
    family_of,
    find_entry,
    find_family,
    scales_of,
)
from .files import (
    fused_record,
    outdated,
    pretrained_files,
    read_named,
    read_record,
    record_file,
    required_file,
    stored_files,
    trained,
    weights_dir,
    weights_file,
)

__all__ = [
    "ENTRIES",
    "FAMILIES",
    "UNION",
    "UNIVERSAL",
    "Entry",
    "Family",
    "family_of",
    "find_entry",
    "find_family",
    "fused_record",
    "outdated",
    "pretrained_files",
    "read_named",
    "read_record",
    "record_file",
    "required_file",
    "scales_of",
    "stored_files",
    "trained",
    "weights_dir",
    "weights_file",
]
