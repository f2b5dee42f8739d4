"""Training of one backbone at one input size, or at scale factors of the native images.

About 0.1 % of all pixels are targets, so the output bias starts at that prior. A running average
(EMA) of the weights is validated and kept, because single steps change the result by many points.

Everything random follows from seed, epoch and step: on the CPU a resumed run ends with the same
weights as an uninterrupted one.

Reading order: `config`; `trainer`, from a configuration to a finished run; `loop`, epochs and
steps; `batches`, `squares` (of native images) and `augment`; `state`, the content of a checkpoint;
`validation`; `run`, the folder; `stored_maps`; `processes`, several GPUs; `parallel`, several
configurations; `interrupt`.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
