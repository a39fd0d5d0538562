"""Parameters of a pack: values that someone sets with a source, and the revision that records them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from shared.policy.model import Parameter
from shared.policy.pack import Pack, normal_name
from shared.policy.terms import ParameterKind, Reading

_WHOLE = {
    ParameterKind.YUAN: 1_000_000,
    ParameterKind.DAYS: 3_660,
    ParameterKind.MONTHS: 120,
    ParameterKind.YEARS: 150,
}
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def revise(pack: Pack, values: Mapping[str, int | bool | str], clause: str) -> Pack:
    """The pack's next version with parameters set from a source (PolicyPackRevised).

    ``clause`` is the source of every value. Raises KeyError for an unknown parameter and
    ValueError for a value that does not fit its kind.
    """
    found = {}
    for name, value in values.items():
        parameter = pack.parameter(name)
        if parameter is None:
            raise KeyError(name)
        found[parameter.name] = msgspec.structs.replace(
            parameter, value=parse_value(parameter, value), clause=clause, reading=Reading.EXTERNAL
        )
    parameters = tuple(found.get(p.name, p) for p in pack.document.parameters)
    return Pack(msgspec.structs.replace(pack.document, version=pack.version + 1, parameters=parameters))


def parse_value(parameter: Parameter, value: int | bool | str) -> int | bool | str:
    """A parameter's value from text or as given. Raises ValueError when it does not fit."""
    kind = parameter.kind
    if kind in _WHOLE:
        if isinstance(value, bool):
            raise ValueError(parameter.name)
        number = value if isinstance(value, int) else int(value.strip())
        if not 0 <= number <= _WHOLE[kind]:
            raise ValueError(parameter.name)
        return number
    if kind is ParameterKind.FLAG:
        if isinstance(value, bool):
            return value
        flag = _FLAGS.get(str(value).strip().lower())
        if flag is None:
            raise ValueError(parameter.name)
        return flag
    text = str(value).strip()
    if kind is ParameterKind.DATE:
        return dt.date.fromisoformat(text).isoformat()
    if kind is ParameterKind.CHOICE:
        text = normal_name(text)
        if text not in parameter.choices:
            raise ValueError(parameter.name)
    return text
