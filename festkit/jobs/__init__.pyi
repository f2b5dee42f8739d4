"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .execute import run_notebook as run_notebook
from .job import Job as Job
from .job import Outcome as Outcome
from .job import Output as Output
from .job import run_job as run_job
from .notebook import notebook_setup as notebook_setup
from .parameters import NOTEBOOKS as NOTEBOOKS
from .parameters import find_notebook as find_notebook
from .parameters import write_parametrised as write_parametrised
from .schedule import estimate_minutes as estimate_minutes
from .schedule import run_jobs as run_jobs
from .schedule import unfinished as unfinished
from .stale import check_done as check_done
from .status import NotebookError as NotebookError
