"""Errors that a user can fix. The command line prints them as one line, others as a traceback.

Each class also is the built-in exception that callers expect, so that ``except ValueError`` works.
"""


class FestkitError(Exception):
    """Base class of all errors that name the value, the expected value and a remedy.

    Example:
        >>> import festkit as fk
        >>> try:
        ...     fk.create_backbone("DNANett")
        ... except fk.FestkitError as error:
        ...     print(error)
        unknown backbone 'DNANett'; choose from ACM, ... Did you mean 'DNA-Net'?
    """


class InputError(FestkitError, ValueError):
    """A value, an array or the content of a file is not what was expected.

    Example:
        >>> issubclass(InputError, ValueError)
        True
    """


class InputTypeError(FestkitError, TypeError):
    """An argument is of a kind that is not accepted.

    Example:
        >>> issubclass(InputTypeError, TypeError)
        True
    """


class MissingFileError(FestkitError, FileNotFoundError):
    """A file or folder was not found.

    Example:
        >>> issubclass(MissingFileError, FileNotFoundError)
        True
    """


class ExistingFileError(FestkitError, FileExistsError):
    """A file or folder would have to be overwritten.

    Example:
        >>> issubclass(ExistingFileError, FileExistsError)
        True
    """


class BusyError(FestkitError, BlockingIOError):
    """Another process holds the run or folder.

    Example:
        >>> issubclass(BusyError, BlockingIOError)
        True
    """


class DownloadError(FestkitError, ConnectionError):
    """A file could not be downloaded whole.

    Example:
        >>> issubclass(DownloadError, ConnectionError)
        True
    """


class ProcessError(FestkitError, RuntimeError):
    """A notebook, a job or a server ended before its work was done.

    Example:
        >>> issubclass(ProcessError, RuntimeError)
        True
    """


class NumericalError(FestkitError, FloatingPointError):
    """A computation left the range of its numbers.

    Example:
        >>> issubclass(NumericalError, FloatingPointError)
        True
    """


class MemoryLimitError(FestkitError, MemoryError):
    """The work does not fit into the memory of the device.

    Example:
        >>> issubclass(MemoryLimitError, MemoryError)
        True
    """


class MissingPackageError(FestkitError, ImportError):
    """An optional package is not installed.

    Example:
        >>> issubclass(MissingPackageError, ImportError)
        True
    """
