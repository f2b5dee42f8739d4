"""Public names with their types; ``__init__.py`` imports them when they are first used."""

from .convert import Parity as Parity
from .convert import check_parity as check_parity
from .convert import export as export
from .exported import ExportedModel as ExportedModel
