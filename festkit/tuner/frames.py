"""What a tuner works on: images with probability maps, read one at a time.

A source may hold a thousand large maps; :func:`cached` keeps only as many as :data:`MEMORY` holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from ..fest import Rule
from ..metrics import as_mask
from ..sensitivity import Detection, adjust_sensitivity, as_maps

MEMORY = 256 * 1024 * 1024
"""Bytes of maps, masks and images that a source keeps at hand."""

DETECT = (
    "import festkit as fk\n\ndetection = fk.adjust_sensitivity(prob, th1={{th1}}, th2={{th2}}{})"
)

Read = Callable[[int], "Frame"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One image with its probabilities.

    Attributes:
        name: its name within the set.
        prob: (H, W) float32 in [0, 1]; of several scales their fused map.
        scales: every scale's own map (H, W), in order; empty where there is no other map than
            ``prob``.
        image: (H, W) uint8 gray, None if there is none.
        mask: (H, W) bool, the truth, None if it is not known.

    Example:
        >>> Frame("a", np.zeros((4, 6), np.float32)).prob.shape
        (4, 6)
    """

    name: str
    prob: NDArray[np.float32]
    scales: tuple[NDArray[np.float32], ...] = ()
    image: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of everything it holds."""
        held = (self.prob, *self.scales, self.image, self.mask)
        return sum(array.nbytes for array in held if array is not None)


@dataclass(frozen=True)
class Source:
    """A set of frames, and how thresholds chosen on it are used and saved.

    Attributes:
        title: what the page calls it.
        names: of the images, in order.
        read: the frame at an index.
        start: thresholds and rule that were chosen before, by name.
        code: Python that uses chosen thresholds, with ``{th1}``, ``{th2}`` and ``{rule}``.
        per_scale_code: the same for the rule "per_scale", where it differs.
        images: dataset, split, fingerprint and protocol of the images, where they are known.
        keep: writes chosen thresholds, by name with ``rule``, ``chosen_on`` and their metrics, to
            where they are used, and says where; None if nowhere.
        close: closes the files that frames are read from.

    Example:
        >>> frame = Frame("a", np.zeros((4, 6), np.float32))
        >>> Source("one map", ("a",), lambda index: frame).read(0).name
        'a'
    """

    title: str
    names: tuple[str, ...]
    read: Read
    start: Mapping[str, Any] = field(default_factory=dict)
    code: str = DETECT.format("")
    per_scale_code: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    keep: Callable[[dict[str, Any]], str] | None = None
    close: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self.names)


def make_frame(
    name: str, prob: Any, scales: Sequence[Any] = (), image: Any = None, mask: Any = None
) -> Frame:
    """A frame of array-likes, after checking them.

    Raises:
        ValueError: naming the image, for maps that are no probabilities, several images at once, or
            shapes that differ.

    Example:
        >>> make_frame("a", np.full((2, 3), 0.5)).prob.dtype
        dtype('float32')
    """
    try:
        fused = _one("probability map", as_maps("the probability map", prob))
        own = tuple(_one("scale map", as_maps("a scale map", scale)) for scale in scales)
        truth = None if mask is None else _one("mask", as_mask("the mask", mask))
        gray = None if image is None else _gray(image)
        others = [("a scale map", each) for each in own]
        for part, array in [*others, ("the mask", truth), ("the image", gray)]:
            if array is not None and array.shape != fused.shape:
                sizes = [" × ".join(map(str, each.shape)) for each in (array, fused)]
                raise InputError(
                    f"{part} is {sizes[0]} px high and wide, the probability map {sizes[1]}; "
                    "resize the map to the image first (resize_map)"
                )
    except ValueError as error:
        raise InputError(f"image {name!r}: {error}") from error
    return Frame(name, fused, own, gray, truth)


def cached(read: Read) -> Read:
    """A reader that keeps what it read last, up to :data:`MEMORY` bytes.

    Example:
        >>> read = cached(lambda index: Frame(str(index), np.zeros((4, 6), np.float32)))
        >>> read(3) is read(3)
        True
    """
    kept: dict[int, Frame] = {}  # in the order of their last use
    lock = Lock()

    def read_once(index: int) -> Frame:
        with lock:
            frame = kept.pop(index, None)
        frame = read(index) if frame is None else frame
        with lock:
            kept[index] = frame
            while sum(each.nbytes for each in kept.values()) > MEMORY and len(kept) > 1:
                del kept[next(iter(kept))]
        return frame

    return read_once


def is_ordered(frame: Frame, rule: Rule) -> bool:
    """Whether th2 stays at or below th1: above it, only a scale's own map has weak targets.

    Example:
        >>> is_ordered(Frame("a", np.zeros((4, 6), np.float32)), "per_scale")
        True
    """
    return rule == "fused" or not frame.scales


def detect(frame: Frame, th1: float, th2: float, rule: Rule) -> Detection:
    """Adjustable sensitivity on a frame, by the rule that a FEST would follow.

    Example:
        >>> prob = np.zeros((9, 9), np.float32); prob[6, 5:8] = 0.3
        >>> detect(Frame("a", prob), 0.5, 0.1, "per_scale").weak
        array([[6, 6]])
    """
    if not is_ordered(frame, rule):
        return adjust_sensitivity(frame.prob, th1, th2, scale_maps=frame.scales)
    return adjust_sensitivity(frame.prob, th1, th2 if th2 < th1 else None)


def _one(name: str, maps: Any) -> NDArray[Any]:
    """The only map of a checked batch, as an array (H, W)."""
    if len(maps) > 1 and maps.ndim > 2:
        raise InputError(f"its {name} holds {len(maps)} images; pass one (H, W) per image")
    array = maps if isinstance(maps, np.ndarray) else maps.cpu().numpy()
    return np.ascontiguousarray(array.reshape(array.shape[-2:]))


def _gray(image: Any) -> NDArray[np.uint8]:
    """A checked gray image."""
    gray = np.asarray(image)
    if gray.dtype != np.uint8 or gray.ndim != 2:
        raise InputError(f"the image is {gray.dtype} of shape {gray.shape}, expected (H, W) uint8")
    return np.ascontiguousarray(gray)
