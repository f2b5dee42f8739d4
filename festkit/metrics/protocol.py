"""The protocol of an evaluation, as data: what a number depends on beside the prediction."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from .matching import MATCH_DISTANCE

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Protocol:
    """How predictions became numbers. Results of different protocols are not comparable.

    Attributes:
        size: size at which prediction and mask are compared.
        image: how images were brought to the size of the network's input.
        padding: how images were padded.
        map: how maps are brought to that size.
        mask: how the true masks are brought to it and binarised.
        threshold: how maps are binarised.
        connectivity: neighbours of a pixel in a target.
        distance: centroids closer than this match [px].

    Example:
        >>> Protocol().name
        'size original, image not stated, padding not stated, map linear, mask > 127, \
threshold > 0.5, 8-connected, centroids < 3 px'
    """

    size: str = "original"
    image: str = NOT_STATED
    padding: str = NOT_STATED
    map: str = "linear"
    mask: str = "> 127"
    threshold: str = "> 0.5"
    connectivity: int = 8
    distance: float = MATCH_DISTANCE

    @property
    def name(self) -> str:
        """The protocol in one line."""
        words = [f"{key} {value}" for key, value in asdict(self).items() if isinstance(value, str)]
        targets = f"{self.connectivity}-connected, centroids < {self.distance:g} px"
        return ", ".join([*words, targets])

    def record(self) -> dict[str, str | int | float]:
        """The name and all fields, ready for JSON.

        Example:
            >>> Protocol(size="256 px").record()["size"]
            '256 px'
        """
        return {"name": self.name, **asdict(self)}


def protocol_of(
    th1: float, th2: float | None, rule: str | None = None, scales: Iterable[object] = ()
) -> Protocol:
    """The protocol of festkit's own models, whose images and maps festkit resizes itself.

    Args:
        th1: threshold of strong targets.
        th2: threshold of weak targets, if any.
        rule: source of weak targets, if stated.
        scales: keys of the scales; floats are scale factors.

    Example:
        >>> protocol_of(0.5, 0.1, "fused").threshold
        '> 0.5, AS > 0.1 (fused)'
    """
    factors = " + ".join(f"{scale:g}" for scale in scales if isinstance(scale, float))
    image = f"linear, 8 bit, tiles at x {factors}" if factors else "linear, 8 bit"
    return Protocol(image=image, padding="none", threshold=threshold_rule(th1, th2, rule))


def threshold_rule(th1: float, th2: float | None, rule: str | None = None) -> str:
    """The thresholds, as a protocol states them.

    Example:
        >>> threshold_rule(0.5, None)
        '> 0.5'
    """
    source = f" ({rule})" if rule else ""
    return f"> {th1:g}" + ("" if th2 is None else f", AS > {th2:g}{source}")


def protocol_lines(names: Mapping[str, str]) -> list[str]:
    """One line if all results have one protocol, else one for each, to print beside them.

    Args:
        names: name of the protocol by result.

    Example:
        >>> protocol_lines({"A": "size original", "B": "size 256 px"})
        ['protocols differ, so these results are not comparable:', 'A: size original', \
'B: size 256 px']
    """
    if len(set(names.values())) <= 1:
        return [f"protocol: {name}" for name in dict.fromkeys(names.values())]
    head = "protocols differ, so these results are not comparable:"
    return [head, *(f"{result}: {name}" for result, name in names.items())]
