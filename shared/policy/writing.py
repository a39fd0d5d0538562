"""Write a pack as YAML, and make next year's pack from this year's (按上年方案拟定下年方案). Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import yaml

from shared.policy.model import PackDocument
from shared.policy.pack import Pack
from shared.policy.terms import Reading

COPIED = "EXT:SYNTHETIC"
"""Clause of what a copied pack says of its own year: nobody issued such a plan."""
SYNTHETIC = "synthetic"
"""Role of the document that stands for a plan nobody issued."""


class _Dumper(yaml.SafeDumper):
    """Block style, no anchors: a file that people edit."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def dump(pack: Pack, heading: str = "") -> str:
    """The pack as YAML text that parses to the same digest. heading: comment lines on top."""
    builtins = msgspec.to_builtins(pack.document, builtin_types=(dt.date,))
    text = yaml.dump(builtins, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)
    comments = "".join(f"# {line}\n" for line in heading.splitlines())
    return f"{comments}{text}"


def copy_to_year(pack: Pack, pack_id: str, year: int) -> Pack:
    """The pack with every date moved to another insured year, marked as a synthetic copy (years chain).

    Amounts stay, the task table does not (targets come from what was collected). Windows, phases, notices,
    deadlines, cover, birth cut-offs and parameter dates move by whole years (29 February becomes the 28th).
    Raises ValueError when the id does not end with the year.
    """
    if not pack_id.endswith(f"-{year}"):
        raise ValueError(f"the id of a pack of {year} ends with -{year}")
    years = year - pack.insured_year
    moved = _moved(msgspec.to_builtins(pack.document, builtin_types=(dt.date,)), years)
    moved |= {"id": pack_id, "version": 1, "insured_year": year, "task_table": None}
    title = f"由 {pack.id} 复制的合成方案 / synthetic copy of {pack.id}"
    copy = {"id": pack_id.replace("-", ""), "title": title, "role": SYNTHETIC}
    moved["documents"] = [copy, *(_undated(each) for each in moved["documents"])]
    for parameter in moved["parameters"]:
        if parameter["kind"] == "date" and isinstance(parameter["value"], str):
            parameter["value"] = _later(dt.date.fromisoformat(parameter["value"]), years).isoformat()
    for span in (*moved["windows"].values(), *moved["phases"]):
        span |= {"clause": f"{span['clause']} {COPIED}", "reading": Reading.INFERRED.value}
    return Pack(msgspec.convert(moved, PackDocument, strict=True))


def is_synthetic(pack: Pack) -> bool:
    """True for a pack made by ``copy_to_year``: shown wherever the pack is named."""
    return any(document.role == SYNTHETIC for document in pack.document.documents)


def _moved(value: Any, years: int) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, years) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_moved(item, years) for item in value]
    return _later(value, years) if isinstance(value, dt.date) else value


def _undated(document: dict[str, Any]) -> dict[str, Any]:
    """The source document keeps its own date: it is of another year and only copied from."""
    return {**document, "role": "copied_from", "issued": None, "annex_dated": None}


def _later(day: dt.date, years: int) -> dt.date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
