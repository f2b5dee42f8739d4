"""Notebooks as batch jobs: checked before they start, recorded while they run, done once.

Papermill does not report a killed kernel, so a run writes its own status. A job's folder appears
under ``done`` only if its metrics are there and are finite numbers. Otherwise the next run
continues in the same folder.

Reading order: `parameters` (of a notebook), `status` (files of a run), `execute` (one notebook),
`provenance` (what results depend on), `job` (one job, done once), `stale` (what has changed since),
`worker` (a process per job), `schedule` (many jobs).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
