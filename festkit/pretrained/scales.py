"""Networks that are the scales of one FEST: their cards, and the file that holds them all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from .._support.cards import FEST_CARD
from .._support.errors import InputError
from .._support.files import check_form
from ..backbones import fill_backbone, network_card
from ..backbones.checkpoints import read_tensors
from ..backbones.contract import own_copy
from ..data.catalogue import dataset_name
from ..weights import create_from_card, read_card, save_tensors

Key = int | float
"""A size [px], or a scale factor."""


def keys_of(card: Mapping[str, Any]) -> list[Key]:
    """The keys of a network in a FEST: its size, or its scale factors.

    Example:
        >>> keys_of({"size": 512}), keys_of({"size": 128, "scales": [1.3, 2]})
        ([512], [1.3, 2.0])
    """
    return [float(factor) for factor in card.get("scales") or ()] or [card["size"]]


def origin_of(card: Mapping[str, Any]) -> dict[str, str]:
    """Training data that a card or record names; all scales have the same training images.

    Example:
        >>> origin_of({"dataset": "sirst", "train_split": "aa"})
        {'train_split': 'aa', 'dataset': 'NUAA-SIRST'}
    """
    splits = {name: card[name] for name in ("train_split", "test_split") if card.get(name)}
    return splits | ({"dataset": dataset_name(card["dataset"])} if card.get("dataset") else {})


def statistics_of(cards: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Mean and deviation of the training set, as the networks of fixed sizes need them.

    Trainings at scale factors count flat images with at least 8 gray levels, so theirs are taken
    only where there is no other.

    Example:
        >>> size = {"size": 512, "mean": 0.4, "std": 0.1}
        >>> statistics_of([{"size": 64, "scales": [1.3], "mean": 0.4, "std": 0.11}, size])
        (0.4, 0.1)
    """
    card = next((card for card in cards if not card.get("scales")), cards[0])
    return card["mean"], card["std"]


def network_for(card: Mapping[str, Any], given: Mapping[Any, nn.Module]) -> nn.Module | None:
    """A copy of the network that was passed for the size, or one of the factors, of a card.

    A copy, because the networks of several factors may be passed as one object.

    Example:
        >>> network_for({"size": 128, "scales": [1.3]}, {2.0: nn.Conv2d(3, 1, 1)}) is None
        True
    """
    network = next((given[key] for key in keys_of(card) if key in given), None)
    return None if network is None else own_copy(network)


def tile_of(cards: Sequence[Mapping[str, Any]], default: int) -> int:
    """The side of the tiles of the networks at scale factors [px].

    Raises:
        ValueError: if they were trained on squares of different sides.

    Example:
        >>> tile_of([{"size": 64, "scales": [1.3]}, {"size": 512}], 128)
        64
    """
    tiles = {card["size"] for card in cards if card.get("scales")} or {default}
    if len(tiles) > 1:
        raise InputError(
            f"the runs at scale factors were trained on squares of {sorted(tiles)} px; pass runs "
            "of one size"
        )
    return int(tiles.pop())


def check_together(cards: Sequence[Mapping[str, Any]]) -> None:
    """Refuse networks that cannot be the scales of one FEST.

    Raises:
        ValueError: if there are none, two have the same size or factor, or they were trained on
            different images.

    Example:
        >>> check_together([{"size": 256, "train_split": "aa"}])
    """
    if not cards:
        raise InputError("no runs given; pass at least one finished run or weights file")
    keys = [key for card in cards for key in keys_of(card)]
    if len(set(keys)) < len(keys):
        sizes = list(dict.fromkeys(keys))
        raise InputError(f"got {len(cards)} runs for the sizes {sizes}; pass one per size")
    splits = {card["train_split"] for card in cards}
    if len(splits) > 1:
        raise InputError(
            f"the runs were trained on {len(splits)} different training splits "
            f"({', '.join(splits)}); train every size on the same images"
        )


def write_scales(
    path: str | Path, networks: Mapping[Key, nn.Module], tile: int, card: Mapping[str, Any]
) -> Path:
    """Write all networks of a FEST to one ``.safetensors`` file.

    Args:
        path: the file.
        networks: by size or scale factor.
        tile: side of the tiles at scale factors [px].
        card: what else the card holds.
    """
    tensors = {
        f"{key}.{name}": tensor
        for key, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    listed = [
        ({"size": tile, "scale": key} if isinstance(key, float) else {"size": key})
        | network_card(network)
        for key, network in networks.items()
    ]
    return save_tensors(tensors, path, {"kind": "FEST", "networks": listed, **card})


def read_scales(
    path: str | Path, given: Mapping[Any, nn.Module], default_tile: int
) -> tuple[dict[Key, nn.Module], int, dict[str, Any]]:
    """Read a file of :func:`write_scales`.

    Args:
        path: the file.
        given: networks by size or factor, if they are not in the catalogue.
        default_tile: side of the tiles of a FEST without scale factors [px].

    Returns:
        The networks, the side of the tiles, and the card.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it contains no FEST, or does not fit the networks.
    """
    card, tensors = read_card(path), read_tensors(path)
    if card.get("kind") != "FEST":
        raise InputError(f"{path} holds the weights of one network, not a FEST; see load_weights")
    check_form(f"the card of {path}", card, FEST_CARD)
    networks: dict[Key, nn.Module] = {}
    for entry in card["networks"]:
        key: Key = float(entry["scale"]) if "scale" in entry else entry["size"]
        own = given.get(key)
        networks[key] = create_from_card(entry, path) if own is None else own_copy(own)
        names = [name for name in tensors if name.startswith(f"{key}.")]
        state = {name.removeprefix(f"{key}."): tensors.pop(name) for name in names}
        fill_backbone(networks[key], state, path)
    if tensors:
        raise InputError(f"{path} holds tensors of no network, such as {next(iter(tensors))}")
    tiles = [entry["size"] for entry in card["networks"] if "scale" in entry]
    return networks, next(iter(tiles), default_tile), card
