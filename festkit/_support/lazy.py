"""Packages whose public names are imported when they are first used."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path


def lazy_names(
    package: str, file: str
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package that has a stub beside it.

    The stub ``__init__.pyi`` lists every public name as ``from .module import name as name``, and
    type checkers read it. Packages (``from . import name as name``) are not listed by ``dir``.

    Args:
        package: ``__name__`` of the package.
        file: its ``__file__``.

    Example:
        >>> import festkit
        >>> lazy_names("festkit", festkit.__file__)[0]("create_backbone").__name__
        'create_backbone'
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    lines = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    module_of = {each.name: line.module for line in lines for each in line.names}
    names = sorted(name for name, module in module_of.items() if module)

    def get(name: str) -> object:
        """Import a public name."""
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if module_of[name] is None:  # a package within
            return import_module(f"{package}.{name}")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    return get, lambda: list(names), names
