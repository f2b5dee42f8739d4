"""The training loop: epochs, steps, validation, checkpoints; and its progress bar.

An epoch is :meth:`Loop._epoch`. Batches are in ``batches``, the training state in ``state``.
"""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from .._support.devices import is_out_of_memory, resolve_precision
from .._support.errors import MemoryLimitError, NumericalError
from .._support.progress import progress
from ..backbones import backbone_name
from ..backbones.contract import check_network, input_channels, logits_of
from ..data.dataset import Dataset
from ..losses import create_loss
from .batches import Batch, Batches, TrainingImages, seed_of
from .config import TrainConfig
from .interrupt import Stop
from .memory import kept_memory
from .processes import Processes
from .run import Run
from .squares import NativeImages
from .state import Best, Row, TrainState
from .validation import calibrate, selection_start, validate

SILENT_EPOCHS = 10
"""Number of consecutive epochs without a predicted pixel before a warning."""


class ProgressLogger:
    """Progress bar of a run; warns if the network predicts nothing.

    Args:
        label: label of the bar.
        done: images already processed by a resumed run.
        total: images of the whole run.
        quiet: no bar; for all but the main process.
    """

    def __init__(self, label: str, *, done: int, total: int, quiet: bool = False) -> None:
        self.bar: Any = progress(None, label, unit="image", done=done, total=total, quiet=quiet)
        self._notes: dict[str, str] = {}
        self._silent = 0

    def step(self, images: int) -> None:
        """Advance the bar by so many images."""
        self.bar.update(images)

    def epoch(self, row: Row, epochs: int) -> None:
        """Show the metrics of an epoch; warn if the network predicts nothing."""
        self._notes["epoch"] = f"epoch {row['epoch']:.0f}/{epochs}"
        self._notes["loss"] = f"loss {row['loss']:.4f}, train IoU {100 * row['train_iou']:.1f}"
        if not math.isnan(row["iou"]):
            self._notes["validation"] = (
                f"validation: IoU {100 * row['iou']:.1f}, Pd {100 * row['pd']:.1f}, "
                f"Fa {1e6 * row['fa']:.1f}e-6"
            )
        self.bar.set_postfix_str("; ".join(self._notes.values()), refresh=False)
        self._silent = self._silent + 1 if row["predicted"] == 0 else 0
        if self._silent == SILENT_EPOCHS:
            warnings.warn(
                f"no pixel was predicted as target in {SILENT_EPOCHS} epochs up to epoch "
                f"{row['epoch']:.0f}: the network has collapsed to background. Try a higher "
                "learning_rate, more warmup_steps, or another loss",
                stacklevel=2,
            )

    def close(self) -> None:
        """Close the bar."""
        self.bar.close()


TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Type of the network's layers by precision."""

CHECKPOINT_SECONDS = 30.0
"""Minimum time between two checkpoints."""

CHECKPOINT_SHARE = 0.05
"""Maximum share of the time spent on writing checkpoints."""


class Loop:
    """The training of one run.

    Args:
        config: configuration.
        run: run folder.
        images: training images.
        val_set: images used to choose the epoch; may be empty.
        processes: this process and the others.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Run,
        images: TrainingImages | NativeImages,
        val_set: Dataset,
        processes: Processes,
    ) -> None:
        self.config, self.run, self.images, self.val_set = config, run, images, val_set
        self.processes, self.device = processes, processes.device
        self.type = TYPES[resolve_precision(config.precision, self.device)]
        self.batches = Batches(images, config, processes.rank, processes.count)
        updates = -(-len(self.batches.starts) // config.accumulate) * config.epochs
        self.state = TrainState.start(config, self.device, updates)
        with self._enough_memory():
            check_network(self.state.model.eval(), config.size)
        self.loss_of = create_loss(config.loss, **config.loss_options)

    def train(self, stop: Stop, *, resume: bool) -> bool:
        """Train until the last epoch is done or a stop is requested; return whether it is done."""
        state = self.state
        if resume:
            state.resume(self.run)
            if self.config.threads is None:  # other numbers of threads round differently
                torch.set_num_threads(state.threads)
        elif self.processes.is_main:
            self.run.forget()
        self.shared: Any = self.processes.shared(state.model)
        self.model: Any = torch.compile(self.shared) if self.config.compile else self.shared
        state.saved = time.monotonic(), 0.0
        self.logger = self._logger()
        try:
            with kept_memory() if self.device.type == "cpu" else nullcontext():
                while state.epoch < self.config.epochs:
                    if not self._epoch(stop):
                        return False
                self._save()
        finally:
            self.logger.close()
        return True

    def _logger(self) -> ProgressLogger:
        """The progress bar, where a resumed run was."""
        config, state, images = self.config, self.state, self.batches.images_per_epoch
        return ProgressLogger(
            f"{backbone_name(config.backbone)} {config.size} px {config.loss}",
            done=state.epoch * images + state.step * config.batch_size,
            total=config.epochs * images,
            quiet=not self.processes.is_main,
        )

    def _epoch(self, stop: Stop) -> bool:
        """Run the remaining steps of an epoch; return whether to go on."""
        state, steps = self.state, len(self.batches.starts)
        batches = self.batches.of_epoch(state.epoch, input_channels(state.model), first=state.step)
        while state.step < steps:
            last = state.step + 1 == steps
            update = last or (state.step + 1) % self.config.accumulate == 0
            with self._enough_memory():
                batch = next(batches)
                self._step(batch, update=update)
            state.step += 1
            self.logger.step(batch.total)
            if update and not last and self._checkpoint(stop):
                return False
        self._end_epoch()
        return not self._checkpoint(stop) or state.epoch == self.config.epochs

    def _step(self, batch: Batch, *, update: bool) -> None:
        """Forward, loss, backward; with the last batch of a group, an optimiser update."""
        state, config = self.state, self.config
        torch.manual_seed(seed_of(config.seed, state.epoch, state.step))
        self.model.train()
        apart = not update and self.processes.count > 1  # gradients are averaged at the update
        with self.shared.no_sync() if apart else nullcontext():
            with torch.autocast(self.device.type, self.type, self.type != torch.float32):
                outputs = logits_of(self.model, batch.image)  # the main one first
            loss = torch.stack([self.loss_of(logits, batch.mask) for logits in outputs]).mean()
            # DDP averages over processes, whose parts of a batch may differ by one image.
            share = len(batch.mask) * self.processes.count / batch.total
            scaled = loss * (share / self._accumulated())
            state.scaler.scale(scaled).backward()
        if update:
            self._update()
        self._count(outputs[0].detach() > 0, batch.mask, loss.detach() * share)

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        """Name the options to lower when the memory of the device is too small."""
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            batch, device = self.config.batch_size, self.device
            name = "crop" if self.config.crop else "size"
            side = getattr(self.config, name)
            raise MemoryLimitError(
                f"a batch of {batch} images of {side} px does not fit into the memory of {device}; "
                f"try batch_size={max(batch // 2, 2)} with accumulate=2, or a smaller {name}"
            ) from error

    def _accumulated(self) -> int:
        """Number of batches whose gradients are averaged in the next update."""
        start = self.state.step // self.config.accumulate * self.config.accumulate
        return min(self.config.accumulate, len(self.batches.starts) - start)

    def _update(self) -> None:
        """An optimiser update, with the gradients of one or more batches."""
        state, config, scaler = self.state, self.config, self.state.scaler
        if config.clip_norm is not None:
            scaler.unscale_(state.optimizer)
            nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
        before = scaler.get_scale()
        scaler.step(state.optimizer)
        scaler.update()
        if scaler.get_scale() >= before:  # else it skipped an overflow
            state.after_update(config.ema_decay)
        state.optimizer.zero_grad()

    def _count(self, predicted: Tensor, mask: Tensor, loss: Tensor) -> None:
        """Add a step to the sums of the epoch."""
        pixels = [(predicted & mask).sum(), (predicted | mask).sum(), predicted.sum()]
        # The scaler of fp16 skips such steps; without it they end the run.
        overflow = ~loss.isfinite() & self.state.scaler.is_enabled()
        loss = torch.where(overflow, 0.0, loss)
        self.state.sums += torch.stack([loss, *pixels, overflow])

    def _end_epoch(self) -> None:
        """Append a history row, validate if due, update the progress bar."""
        state, config = self.state, self.config
        sums = self.processes.total(state.sums)
        self._check_numbers(sums)
        loss, intersection, union, predicted, overflows = sums.tolist()
        state.epoch, state.step = state.epoch + 1, 0
        state.sums.zero_()
        row = {
            "epoch": state.epoch,
            "loss": loss / (len(self.batches.starts) * self.processes.count - overflows),
            "train_iou": intersection / max(union, 1),
            "predicted": predicted,
            "learning_rate": state.schedule.get_last_lr()[0],
            **dict.fromkeys(("iou", "pd", "fa"), math.nan),
        }
        due = state.epoch % config.validate_every == 0 or state.epoch == config.epochs
        if len(self.val_set) and due and self.processes.is_main:
            row |= self._validate()
        state.history.append(row)
        self.logger.epoch(row, config.epochs)

    def _validate(self) -> dict[str, float]:
        """Validate the averaged weights; keep them if they are the best so far."""
        state, first = self.state, selection_start(self.config)
        network = state.average.module
        calibrate(network, self.config, self.images, quiet=True)
        counts = validate(network, self.config, self.images, self.val_set)
        score = 0.0 if math.isnan(counts.score) else counts.score
        value = counts.valid + score  # a valid Score beats every other
        late = first is not None and state.epoch > first
        if late and (state.best is None or value > state.best.value):
            weights = {name: t.detach().cpu().clone() for name, t in network.state_dict().items()}
            state.best = Best(state.epoch, value, weights)
        return {"iou": counts.iou, "pd": counts.pd, "fa": counts.fa}

    def _checkpoint(self, stop: Stop) -> bool:
        """Write a checkpoint if due or if training stops here; return whether it stops."""
        at, took = self.state.saved
        due = time.monotonic() - at > max(CHECKPOINT_SECONDS, took / CHECKPOINT_SHARE)
        due, stops = due and self.processes.is_main, stop.wanted
        if self.processes.count > 1:  # all stop at the same step
            flags = self.processes.total(torch.tensor([float(due), float(stops)]))
            due, stops = (flags > 0).tolist()
        if stops or due:
            self._save()
        return stops

    def _save(self) -> None:
        """Write a checkpoint, if the numbers are finite."""
        # Every process resumes from this checkpoint, with an equal part of the sums.
        sums = self.processes.total(self.state.sums)
        self._check_numbers(sums)
        self.state.sums.copy_(sums / self.processes.count)
        if self.processes.is_main:
            self.state.save(self.run)

    def _check_numbers(self, sums: Tensor) -> None:
        """Stop before a loss or weight that is not finite gets into a checkpoint.

        Sums and weights are the same in all processes, so all stop.

        Raises:
            FloatingPointError: with settings to try.
        """
        loss, overflows = sums[0].item(), sums[-1].item()
        finite = [part.isfinite().all() for part in self.state.model.parameters()]
        weights = bool(torch.stack(finite).all())
        if overflows == len(self.batches.starts) * self.processes.count:
            raise NumericalError(
                f"the loss of every step of epoch {self.state.epoch + 1} overflows in fp16; use "
                "precision='bf16' or 'fp32'"
            )
        if not (math.isfinite(loss) and weights):
            wrong = "a weight is not finite" if math.isfinite(loss) else f"the loss is {loss}"
            raise NumericalError(
                f"{wrong} in epoch {self.state.epoch + 1}; try a lower learning_rate "
                f"than {self.config.learning_rate}, clip_norm=1, or precision='fp32'"
            )
