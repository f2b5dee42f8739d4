"""Errors that a user can mend; the command line prints them as one line, all others as a traceback.

Each class also is the built-in exception that callers expect, so that ``except ValueError`` works.
"""


class FestkitError(Exception):
    """Base of all errors whose message says what came, what was expected and what to do."""


class InputError(FestkitError, ValueError):
    """A value, an array or the content of a file is not what was expected."""


class InputTypeError(FestkitError, TypeError):
    """An argument is of a kind that is not accepted."""


class MissingFileError(FestkitError, FileNotFoundError):
    """A file or folder is not where it was looked for."""


class ExistingFileError(FestkitError, FileExistsError):
    """A file or folder would have to be overwritten."""


class BusyError(FestkitError, BlockingIOError):
    """Another process holds the run or folder."""


class ProcessError(FestkitError, RuntimeError):
    """A notebook, a job or a server ended before its work was done."""


class NumericalError(FestkitError, FloatingPointError):
    """A computation left the range of its numbers."""


class MemoryLimitError(FestkitError, MemoryError):
    """The work does not fit into the memory of the device."""


class MissingPackageError(FestkitError, ImportError):
    """An optional package is not installed."""
