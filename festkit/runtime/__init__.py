"""Trained models outside PyTorch: exported to one file, run by ONNX Runtime or OpenVINO.

Reading order: `graph` (the pipeline that is exported), `convert` (the file, and whether it finds
what the original finds), `exported` (the model that runs it, without PyTorch), `choice` (which
runtime is the fastest here).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
