"""Training one backbone at one input size.

About 0.1 % of all pixels are targets, so the output bias starts at that prior. A running average
of the weights (EMA) is kept and measured, because single steps move the result by many points.

Everything random follows from the seed, the epoch and the step. A killed run therefore continues
from its last checkpoint and, on the CPU, ends with the same weights as an undisturbed one.

Reading order: `config`, `trainer` (from a configuration to a finished run), `loop` (epochs and
steps), `batches`, `augment`, `state` (what a checkpoint holds), `validation`, `run` (the folder),
`stored_maps`, `processes` (several GPUs), `run_lock`, `interrupt`.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
