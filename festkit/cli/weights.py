"""The command ``festkit weights fetch``."""

import tyro


def fetch(entries: tyro.conf.Positional[tuple[str, ...]], source: str | None = None) -> None:
    """Download weights of the zoo; those that are here already are kept.

    Every file must have the SHA-256 of the entry's record. After an interrupt the same command
    continues. Files go to FESTKIT_WEIGHTS if it is set, else to a folder in the user's cache.

    Args:
        entries: names as printed by zoo list; nuaa-sirst/alcnet is the FEST of all its sizes.
        source: https://... is a folder with the layout of weights/, hf://owner/name a repository of
            the Hugging Face hub; default FESTKIT_WEIGHTS_URL.
    """
    from .._support.errors import InputError
    from ..pretrained.fetch import fetch_weights

    if not entries:
        raise InputError("no entry given; festkit zoo list prints their names")
    for name in entries:
        for path in fetch_weights(name, source):
            print(path)
