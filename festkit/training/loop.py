"""The loop: epochs of steps, with checkpoints, looks at the held-out images, and clean ends."""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
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
from .state import Best, Row, TrainState
from .validation import calibrate, first_choice, judge

SILENT_EPOCHS = 10
"""After so many epochs in a row without one predicted pixel, a network is called collapsed."""


class ProgressLogger:
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


TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Of the network's layers, where a precision takes another type than float32."""

CHECKPOINT_SECONDS = 30.0
"""Least time between two checkpoints."""

CHECKPOINT_SHARE = 0.05
"""Largest share of the time that writing checkpoints may take."""


class Loop:
    """A run under way.

    Args:
        config: what is trained, and how.
        run: where it is kept.
        images: to train on.
        judges: images that choose the epoch; may be empty.
        processes: device, and the other processes.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Run,
        images: TrainingImages,
        judges: Dataset,
        processes: Processes,
    ) -> None:
        self.config, self.run, self.images, self.judges = config, run, images, judges
        self.processes, self.device = processes, processes.device
        self.type = TYPES[resolve_precision(config.precision, self.device)]
        self.batches = Batches(images, config, processes.rank, processes.count)
        updates = -(-len(self.batches.starts) // config.accumulate) * config.epochs
        self.state = TrainState.start(config, self.device, updates)
        with self._enough_memory():
            check_network(self.state.model.eval(), config.size)
        self.loss_of = create_loss(config.loss, **config.loss_options)

    def train(self, stop: Stop, *, resume: bool) -> bool:
        """Train until the last epoch is done or a stop is wanted; whether it is done."""
        state = self.state
        if resume:
            state.resume(self.run)
            if self.config.threads is None:  # other numbers of threads sum in another order
                torch.set_num_threads(state.threads)
        elif self.processes.is_main:
            self.run.forget()
        self.shared: Any = self.processes.shared(state.model)
        self.model: Any = torch.compile(self.shared) if self.config.compile else self.shared
        state.saved = time.monotonic(), 0.0
        self.watch = self._watch()
        try:
            with kept_memory() if self.device.type == "cpu" else nullcontext():
                while state.epoch < self.config.epochs:
                    if not self._epoch(stop):
                        return False
                self._save()
        finally:
            self.watch.close()
        return True

    def _watch(self) -> ProgressLogger:
        config, state, images = self.config, self.state, self.batches.images_per_epoch
        return ProgressLogger(
            f"{backbone_name(config.backbone)} {config.size} px {config.loss}",
            self.run.folder,
            done=state.epoch * images + state.step * config.batch_size,
            total=config.epochs * images,
            quiet=not self.processes.is_main,
        )

    def _epoch(self, stop: Stop) -> bool:
        """The rest of an epoch; False if it was left for a stop."""
        state, steps = self.state, len(self.batches.starts)
        batches = self.batches.of_epoch(state.epoch, input_channels(state.model), first=state.step)
        while state.step < steps:
            last = state.step + 1 == steps
            update = last or (state.step + 1) % self.config.accumulate == 0
            with self._enough_memory():
                batch = next(batches)
                self._step(batch, update=update)
            state.step += 1
            self.watch.step(batch.total)
            if update and not last and self._pause(stop):
                return False
        self._end_epoch()
        return not self._pause(stop) or state.epoch == self.config.epochs

    def _step(self, batch: Batch, *, update: bool) -> None:
        """Forward, loss, backward; and where the gradients are complete, an update."""
        state, config = self.state, self.config
        torch.manual_seed(seed_of(config.seed, state.epoch, state.step))
        self.model.train()
        with nullcontext() if update else self._apart():
            with torch.autocast(self.device.type, self.type, self.type != torch.float32):
                outputs = logits_of(self.model, batch.image)  # main first
            loss = torch.stack([self.loss_of(logits, batch.mask) for logits in outputs]).mean()
            # Gradients are averaged over processes, whose parts of a batch may differ by an image.
            share = len(batch.mask) * self.processes.count / batch.total
            self._backward(loss * (share / self._group()))
        if update:
            self._update()
        self._count(outputs[0].detach() > 0, batch.mask, loss.detach() * share)

    def _apart(self) -> AbstractContextManager[None]:
        """Within this, gradients are added up in each process, not yet averaged over all."""
        return self.shared.no_sync() if self.processes.count > 1 else nullcontext()

    def _backward(self, loss: Tensor) -> None:
        scaler = self.state.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        """Say which option is too large when the memory is too small."""
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            batch, device = self.config.batch_size, self.device
            side, name = (
                (self.config.crop, "crop") if self.config.crop else (self.config.size, "size")
            )
            raise MemoryLimitError(
                f"a batch of {batch} images of {side} px does not fit into the memory of {device}; "
                f"try batch_size={max(batch // 2, 2)} with accumulate=2, or a smaller {name}"
            ) from error

    def _group(self) -> int:
        """Batches whose gradients are accumulated with that of this step."""
        start = self.state.step // self.config.accumulate * self.config.accumulate
        return min(self.config.accumulate, len(self.batches.starts) - start)

    def _update(self) -> None:
        state, config, scaler = self.state, self.config, self.state.scaler
        if config.clip_norm is not None:
            if scaler is not None:
                scaler.unscale_(state.optimizer)
            nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
        if scaler is None:
            state.optimizer.step()
            state.step_on(config.ema_decay)
        else:
            before = scaler.get_scale()
            scaler.step(state.optimizer)
            scaler.update()
            if scaler.get_scale() >= before:  # else the gradient had overflowed, and was skipped
                state.step_on(config.ema_decay)
        state.optimizer.zero_grad()

    def _count(self, predicted: Tensor, mask: Tensor, loss: Tensor) -> None:
        pixels = [(predicted & mask).sum(), (predicted | mask).sum(), predicted.sum()]
        # Where the scaler skips a step, its loss is none of the epoch's; else it ends the run.
        scaled = self.state.scaler is not None
        lost = ~loss.isfinite() if scaled else torch.zeros_like(loss, dtype=torch.bool)
        loss = torch.where(lost, 0.0, loss)
        self.state.sums += torch.stack([loss, *pixels, lost])

    def _end_epoch(self) -> None:
        """A row of history, a look at the images that choose, a line for who watches."""
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
        if len(self.judges) and due and self.processes.is_main:
            row |= self._judge()
        state.history.append(row)
        self.watch.epoch(row, config.epochs)

    def _judge(self) -> dict[str, float]:
        """Measure the averaged weights on the images that choose; keep them if they are best."""
        state, first = self.state, first_choice(self.config)
        network = state.average.module
        calibrate(network, self.config, self.images)
        counts = judge(network, self.config, self.images, self.judges)
        score = 0.0 if math.isnan(counts.score) else counts.score
        value = counts.valid + score  # any valid Score before all others
        late = first is not None and state.epoch > first
        if late and (state.best is None or value > state.best.value):
            weights = {name: t.detach().cpu().clone() for name, t in network.state_dict().items()}
            state.best = Best(state.epoch, value, weights)
        return {"iou": counts.iou, "pd": counts.pd, "fa": counts.fa}

    def _pause(self, stop: Stop) -> bool:
        """Write a checkpoint if it is time; whether to stop."""
        at, took = self.state.saved
        due = time.monotonic() - at > max(CHECKPOINT_SECONDS, took / CHECKPOINT_SHARE)
        due, wanted = due and self.processes.is_main, stop.wanted
        if self.processes.count > 1:  # all stop at the same step, or none
            flags = self.processes.total(torch.tensor([float(due), float(wanted)]))
            due, wanted = (flags > 0).tolist()
        if wanted or due:
            self._save()
        return wanted

    def _save(self) -> None:
        # Every process reads this checkpoint: so its sums are those of all, in equal parts.
        sums = self.processes.total(self.state.sums)
        self._check_numbers(sums)
        self.state.sums.copy_(sums / self.processes.count)
        if self.processes.is_main:
            self.state.save(self.run)

    def _check_numbers(self, sums: Tensor) -> None:
        """Stop before a loss or a weight that is no number gets into a checkpoint.

        All processes have the same sums and the same weights: so they stop together.

        Raises:
            FloatingPointError: with what to try.
        """
        loss, overflows = sums[0].item(), sums[-1].item()
        finite = [part.isfinite().all() for part in self.state.model.parameters()]
        weights = bool(torch.stack(finite).all())
        if overflows == len(self.batches.starts) * self.processes.count:
            raise NumericalError(
                f"the loss of every step of epoch {self.state.epoch + 1} overflows in fp16; take "
                "precision='bf16' or 'fp32'"
            )
        if not (math.isfinite(loss) and weights):
            wrong = "a weight is not finite" if math.isfinite(loss) else f"the loss is {loss}"
            raise NumericalError(
                f"{wrong} in epoch {self.state.epoch + 1}; try a lower learning_rate "
                f"than {self.config.learning_rate}, clip_norm=1, or precision='fp32'"
            )
