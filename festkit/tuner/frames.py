"""Data of a tuner: images with probability maps, read one at a time.

A source may have thousands of large maps; :func:`cached` keeps up to :data:`MEMORY` bytes of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._support.errors import InputError
from ..metrics import as_mask
from ..model import Rule
from ..sensitivity import Detection, adjust_sensitivity, as_maps

MEMORY = 256 * 1024 * 1024
"""Cache size of a source for maps, masks and images [bytes]."""

DETECT = (
    "import festkit as fk\n\ndetection = fk.adjust_sensitivity(prob, th1={{th1}}, th2={{th2}}{})"
)

Read = Callable[[int], "Frame"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One image with its probabilities.

    Attributes:
        name: name within the set.
        prob: (H, W) float32 in [0, 1]; for several scales the fused map.
        scales: the map (H, W) of each scale, in order; empty if ``prob`` is the only map.
        image: (H, W) uint8 gray, None if there is none.
        mask: true mask (H, W), bool; None if unknown.

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
        """Size of its arrays in bytes."""
        held = (self.prob, *self.scales, self.image, self.mask)
        return sum(array.nbytes for array in held if array is not None)


@dataclass(frozen=True)
class Source:
    """A set of frames, with code to use and save the thresholds chosen on it.

    Attributes:
        title: title on the page.
        names: names of the images, in order.
        read: function that returns the frame at an index.
        start: previously chosen thresholds and rule, by name.
        code: Python code that uses the thresholds, with placeholders ``{th1}``, ``{th2}`` and
            ``{rule}``.
        per_scale_code: the same for the rule "per_scale", if it differs.
        images: dataset, split, fingerprint and protocol of the images, if known.
        keep: function that saves the thresholds (by name, with ``rule``, ``chosen_on`` and metrics)
            and returns where; None if they cannot be saved.
        close: function that closes the files of the frames.

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
        ValueError: if maps are not probabilities, an array has several images, or shapes differ;
            the message names the image.

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
    """Cache the most recent frames of a reader, up to :data:`MEMORY` bytes.

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
    """Whether th2 must not exceed th1: above it, only maps of single scales have weak targets.

    Example:
        >>> is_ordered(Frame("a", np.zeros((4, 6), np.float32)), "per_scale")
        True
    """
    return rule == "fused" or not frame.scales


def detect(frame: Frame, th1: float, th2: float, rule: Rule) -> Detection:
    """Apply adjustable sensitivity to a frame, with the same rule as a FEST.

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
        raise InputError(f"its {name} has {len(maps)} images; pass one (H, W) per image")
    array = maps if isinstance(maps, np.ndarray) else maps.cpu().numpy()
    return np.ascontiguousarray(array.reshape(array.shape[-2:]))


def _gray(image: Any) -> NDArray[np.uint8]:
    """A checked gray image."""
    gray = np.asarray(image)
    if gray.dtype != np.uint8 or gray.ndim != 2:
        raise InputError(f"the image is {gray.dtype} of shape {gray.shape}, expected (H, W) uint8")
    return np.ascontiguousarray(gray)
