"""What is seen of a training: a line that moves, warnings in time, curves for TensorBoard."""

import math
import warnings
from pathlib import Path
from typing import Any

from .._progress import progress
from .state import Row

SILENT_EPOCHS = 10
"""After so many epochs in a row without one predicted pixel, a network is called collapsed."""


class Watch:
    """The progress bar of a run, counted in images, and its warnings.

    Args:
        label: what is trained.
        folder: of the run; curves for TensorBoard go there if it is installed.
        done: images trained on before.
        total: images of the whole run.
        quiet: no bar; for all but one of several processes.
    """

    def __init__(
        self, label: str, folder: Path, *, done: int, total: int, quiet: bool = False
    ) -> None:
        self.bar: Any = progress(None, label, unit="image", done=done, total=total, quiet=quiet)
        self._board = None if quiet else _tensorboard(folder)
        self._notes: dict[str, str] = {}
        self._silent = 0

    def step(self, images: int) -> None:
        """Move on by so many images."""
        self.bar.update(images)

    def epoch(self, row: Row, epochs: int) -> None:
        """Show an epoch's row; warn if the network predicts nothing."""
        self._notes["epoch"] = f"epoch {row['epoch']:.0f}/{epochs}"
        self._notes["loss"] = f"loss {row['loss']:.4f}, train IoU {100 * row['train_iou']:.1f}"
        if not math.isnan(row["iou"]):
            self._notes["judged"] = (
                f"judged: IoU {100 * row['iou']:.1f}, Pd {100 * row['pd']:.1f}, "
                f"Fa {1e6 * row['fa']:.1f}e-6"
            )
        self.bar.set_postfix_str("; ".join(self._notes.values()), refresh=False)
        for name, value in row.items():
            if self._board is not None and not math.isnan(value):
                self._board.add_scalar(name, value, int(row["epoch"]))
        self._silent = self._silent + 1 if row["predicted"] == 0 else 0
        if self._silent == SILENT_EPOCHS:
            warnings.warn(
                f"no pixel was predicted as target in {SILENT_EPOCHS} epochs up to epoch "
                f"{row['epoch']:.0f}: the network has collapsed to background. Try a higher "
                "learning_rate, more warmup_steps, or another loss",
                stacklevel=2,
            )

    def close(self) -> None:
        """End the bar's line."""
        self.bar.close()
        if self._board is not None:
            self._board.close()


def _tensorboard(folder: Path) -> Any:
    """A writer of TensorBoard's files, where it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional package
    except ImportError:
        return None
    return SummaryWriter(folder / "tensorboard")
