"""What differs between two packs: ``liangxian packs diff A B`` and a revision's record."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.policy.pack import Pack

_KEYS = ("code", "step", "name", "rule", "kind", "yuan", "id")


class PackChange(msgspec.Struct, frozen=True):
    """One value that differs; before is None where only the second pack has it, and the reverse."""

    path: str
    before: str | int | bool | None
    after: str | int | bool | None


def diff_packs(first: Pack, second: Pack) -> list[PackChange]:
    """Changes by path, e.g. ``medical.personal.value``; list items are named, not numbered."""
    before, after = _flat(first), _flat(second)
    return [
        PackChange(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _flat(pack: Pack) -> dict[str, str | int | bool | None]:
    found: dict[str, str | int | bool | None] = {}
    _collect(msgspec.to_builtins(pack.document), "", found)
    return found


def _collect(value: Any, path: str, found: dict[str, str | int | bool | None]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, f"{path}.{key}" if path else str(key), found)
    elif isinstance(value, (list, tuple)):
        if all(not isinstance(item, dict) for item in value):
            if value:
                found[path] = ", ".join(str(item) for item in value)
            return
        names: dict[str, int] = {}
        for item in value:
            name = _name(item)
            names[name] = names.get(name, 0) + 1
            again = f"#{names[name]}" if names[name] > 1 else ""
            _collect(item, f"{path}[{name}{again}]", found)
    else:
        found[path] = value


def _name(item: dict[str, Any]) -> str:
    for key in _KEYS:
        if key in item:
            return str(item[key])
    return str(item.get("measure", item.get("insurance", "")))
