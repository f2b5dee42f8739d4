"""A model of one or several scales: its fused map, and the targets above its thresholds.

What computes the maps of the scales is left to :class:`FEST` (PyTorch) and to
:class:`ExportedModel` (ONNX Runtime, OpenVINO); this file and all it imports need no PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, overload

import numpy as np
from numpy.typing import NDArray

from ._support.errors import InputError
from ._support.progress import progress
from .fusion import fuse
from .metrics import Counts, count
from .ops.gray import gray_image, gray_levels
from .sensitivity import Detection, adjust_sensitivity, as_maps

if TYPE_CHECKING:
    from torch import Tensor

    from .data.dataset import Dataset

Rule = Literal["per_scale", "fused"]

OneImage = np.ndarray[tuple[int, int], Any]

Batch = np.ndarray[tuple[int, int, int], Any]

Images: TypeAlias = "NDArray[Any] | Tensor"


class Model(ABC):
    """Scales, each with a probability map of the image, and thresholds.

    Attributes:
        backbones: what computes the maps, by input size [px] or scale factor (float);
            training-free detectors by name.
        th1: threshold of strong targets, in [0, 1].
        th2: threshold of weak targets, in [0, 1]; None disables weak targets.
        rule: source of weak targets, "per_scale" or "fused".
        threads: number of CPU threads; None takes one per idle CPU at the first image.
        origin: training dataset and fingerprints of its training and test images, if known.
        chosen_on: dataset and metrics of the threshold tuning, if any.
    """

    backbones: Mapping[Any, Any]
    th1: float
    th2: float | None
    rule: Rule
    threads: int | None
    origin: dict[str, str] | None = None
    chosen_on: dict[str, Any] | None = None

    @property
    @abstractmethod
    def batch(self) -> int:
        """Images that are computed together."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides the maps, for records: the networks and a digest of their weights."""

    @abstractmethod
    def _maps(self, gray: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The maps of all scales, of one image (H, W) or of several (N, H, W)."""

    def scale_maps(self, image: Images) -> list[NDArray[np.float32]]:
        """Probability maps (H, W) of an image, one per scale, in their order.

        Args:
            image: one image (H, W), see :meth:`predict`.

        Raises:
            ValueError: if the gray statistics of the training set are unknown, or ``image`` is not
                gray.
        """
        return self._maps(gray_image(image))

    def probability(self, image: Images) -> NDArray[np.float32]:
        """The fused probability map (H, W) in [0, 1] of one image, see :meth:`predict`.

        Raises:
            ValueError: see :meth:`scale_maps`.

        Example:
            >>> from festkit import FEST
            >>> fest = FEST({32: "ACM", 48: "ACM"}, mean=0.4, std=0.1)
            >>> fest.probability(np.zeros((40, 30), np.uint8)).shape
            (40, 30)
        """
        maps = self.scale_maps(image)
        return fuse(maps, maps[0].shape)

    @overload
    def predict(self, image: OneImage) -> Detection: ...
    @overload
    def predict(self, image: Batch) -> list[Detection]: ...
    @overload
    def predict(self, image: Images) -> Any: ...
    def predict(self, image: Images) -> Detection | list[Detection]:
        """Find strong and weak targets in one gray image, or in every image of a batch.

        Args:
            image: array or tensor (H, W) or (N, H, W): uint8; uint16 with white at 65535; or float
                in [0, 1] with white at 1. It is converted to 8 bit.

        Returns:
            The detection for one image; for a batch, a list of detections. Type checkers treat an
            array of unknown shape as one image.

        Raises:
            ValueError: if the gray statistics of the training set are unknown, or the input is not
                gray images.

        Example:
            >>> import torch
            >>> from festkit import FEST
            >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
            >>> fest.predict(np.zeros((40, 30), np.uint8)).strong.shape
            (40, 30)
            >>> [found.mask.shape for found in fest.predict(torch.zeros(2, 40, 30))]
            [(40, 30), (40, 30)]
        """
        gray = gray_levels(image)
        images = gray.reshape(-1, *gray.shape[-2:])
        step, found = self.batch, list[Detection]()
        for start in range(0, len(images), step):
            maps = self._maps(images[start : start + step])
            found += [self.detect(of_one) for of_one in zip(*maps, strict=True)]
        return found if gray.ndim == 3 else found[0]

    def detect(self, scale_maps: Sequence[NDArray[np.float32]]) -> Detection:
        """Fuse and refine existing probability maps with the thresholds of this FEST.

        Args:
            scale_maps: (H, W) in [0, 1], one per scale, all at the image's own size. NaN counts as
                background, and a warning says so.

        Raises:
            ValueError: if the number of maps differs from that of the scales, the maps differ in
                size, or values are outside [0, 1].

        Example:
            >>> from festkit import FEST
            >>> maps = np.zeros((2, 40, 30), np.float32)
            >>> maps[:, 7, 8] = 0.9, 0.3
            >>> FEST({32: "ACM", 48: "ACM"}).detect(maps).targets()[0].kind
            'strong'
        """
        check_rule(self.rule)
        shapes = [np.shape(prob) for prob in scale_maps]
        alike = len(set(shapes)) == 1 and len(shapes[0]) == 2
        if len(shapes) != len(self.backbones) or not alike:
            raise InputError(
                f"got maps of shapes {shapes} for the scales {list(self.backbones)}; pass one map "
                "per scale, all at the size of the image, as returned by scale_maps"
            )
        given = zip(self.backbones, scale_maps, strict=True)
        maps = [as_maps(f"the map of {scale_title(size)}", prob)[0] for size, prob in given]
        per_scale = len(maps) > 1 and self.rule == "per_scale"
        return adjust_sensitivity(
            fuse(maps, shapes[0]), self.th1, self.th2, scale_maps=maps if per_scale else None
        )

    def evaluate(self, dataset: Dataset) -> Counts:
        """Counts over a dataset split, measured at the original size of each image.

        Raises:
            ValueError: if ``dataset`` is a name or folder instead of a loaded dataset.

        Example:
            >>> import tempfile
            >>> from festkit import FEST
            >>> from festkit.data import load_dataset
            >>> from festkit.scenes import make_synthetic_dataset
            >>> folder = make_synthetic_dataset(f"{tempfile.mkdtemp()}/s", train=1, test=2, size=32)
            >>> fest = FEST({32: "ACM"}, mean=0.4, std=0.1)
            >>> fest.evaluate(load_dataset(folder, "test")).images
            2
        """
        if isinstance(dataset, str | Path):
            raise InputError(
                f"evaluate takes a loaded dataset, got {str(dataset)!r}; "
                f"pass load_dataset({str(dataset)!r}, 'test')"
            )
        total = Counts()
        for sample in progress(dataset, "evaluating", unit="image"):
            total = total + count(self.predict(sample.image).mask, sample.mask)
        return total


def scale_title(size: int | float | str) -> str:
    """Of a network its size or scale factor, of a detector its name.

    Example:
        >>> scale_title(512), scale_title(1.5)
        ('512 px', '1.5 x')
    """
    if isinstance(size, str):
        return size
    return f"{size:g} x" if isinstance(size, float) else f"{size} px"


def check_rule(rule: str) -> None:
    """Refuse an unknown rule."""
    if rule not in get_args(Rule):
        raise InputError(f"unknown rule {rule!r}; choose from {', '.join(get_args(Rule))}")
