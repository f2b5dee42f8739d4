"""Notebooks as batch jobs: checked before they start, watched while they run, done once.

A notebook's process can end in many ways, and papermill does not report one whose kernel was
killed. So a run writes its own status, and a job's folder appears under ``done`` only when its
metrics are there and are numbers. Otherwise the next run continues in the same folder.

Reading order: `parameters` (what notebooks take), `status` (written while one runs), `execute` (one
notebook), `provenance` (what metrics come from), `job` (one job, done once), `stale` (what has
changed since), `schedule` (many jobs), `worker`.
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
