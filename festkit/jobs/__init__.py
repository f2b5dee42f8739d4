"""Notebooks as batch jobs: checked before the start, recorded during the run, each run once.

Papermill does not report a killed kernel, so a run writes its own status. The folder of a job is
moved to ``done`` only if all its metrics are finite numbers. Otherwise the next run resumes in the
same folder.

Reading order: `parameters` (of a notebook), `notebook` (its first cell), `status` (files of a run),
`execute` (one notebook), `provenance` (what results depend on), `job` (one job, done once), `stale`
(what has changed since), `worker` (a process per job), `schedule` (many jobs).
"""

from .._support.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
