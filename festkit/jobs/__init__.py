"""Notebooks as batch jobs: checked before they start, watched while they run, done once.

A notebook's process can end in many ways, and a notebook does not tell which: papermill leaves one
whose kernel was killed as if all were well. So a run writes its own status, and a job's folder
stands under ``done`` only when its figures are there and are numbers. Whatever else happened, the
next run continues in the same folder.

Reading order: `notebooks` (where they are), `parameters` (what they take), `watching` (what is
written while one runs), `running` (one notebook), `origin` (what figures come from), `job` and
`done` (one job, done once), `stale` (what has changed since), `worker`, `pool` and `cluster` (who
runs them), `many` (all of them, in order), `estimate` (how long it takes).
"""

from .done import Outcome, run_job
from .estimate import estimate_minutes
from .job import Job, Output
from .many import run_jobs, unfinished
from .notebooks import NOTEBOOKS, find_notebook, write_parametrised
from .running import run_notebook
from .stale import check_done
from .watching import NotebookError

__all__ = [
    "NOTEBOOKS",
    "Job",
    "NotebookError",
    "Outcome",
    "Output",
    "check_done",
    "estimate_minutes",
    "find_notebook",
    "run_job",
    "run_jobs",
    "run_notebook",
    "unfinished",
    "write_parametrised",
]
