"""How help shows an option that may be left out: ``--th1 FLOAT … (default: unset)``."""

from dataclasses import replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
)

OPTIONAL = ConstructorRegistry()


@OPTIONAL.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Show the type ``T | None`` as T; ``None`` and ``unset`` are still read as None."""
    if get_origin(info.type) not in (Union, UnionType):
        return None
    types = [kind for kind in get_args(info.type) if kind is not NoneType]
    if len(types) != 1 or NoneType not in get_args(info.type):
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(types[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec) or spec.choices or spec.nargs != 1:
        return None
    return replace(
        spec,
        instance_from_str=lambda words: (
            None if words[0] in ("None", "unset") else spec.instance_from_str(words)
        ),
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: (
            ["unset"] if value is None else spec.str_from_instance(value)
        ),
    )
