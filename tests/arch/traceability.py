"""Every clause, discrepancy, invariant and event traced to a test or to a written reason.

``python -m tests.arch.traceability`` prints what is missing and exits 1. The table is docs/traceability.csv:

- clause: what a rule rests on, as policy packs and refusals cite it (``002:L81``, ``EXT:…``)
- discrepancy: D-01 to D-59, the readings of what the plans leave open
- invariant: I-01 to I-32
- event: the catalogue of event types, whether a class bears the name yet or not
- class: every event class of the services, ``service.capability.Name``

``where`` holds pytest node ids, separated by blanks; ``reason`` is written where there is none.
"""

from __future__ import annotations

import ast
import csv
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from shared.kernel.events import Event

ROOT = Path(__file__).parents[2]
TABLE = "docs/traceability.csv"
COLUMNS = ["kind", "id", "where", "reason"]
KINDS = ("clause", "discrepancy", "invariant", "event", "class")
CATALOGUED = 150
"""Event types of the catalogue: one that leaves the table is a gap."""
REASON = re.compile(r"(issue \d+|\S+): .{10,}")
CITED = re.compile(r'clause="([^"{}]+)"')
CLAUSE = re.compile(r"\d{3}:L\d+(-\d+)?|EXT:\S+")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    kind: str
    id: str
    where: tuple[str, ...]
    reason: str


def read_table(file: Path) -> list[Row]:
    """The rows. Raises ValueError when the heading is another."""
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != COLUMNS:
            raise ValueError(f"columns are {reader.fieldnames}")
        return [Row(row["kind"], row["id"], tuple(row["where"].split()), row["reason"]) for row in reader]


def faults_of(root: Path, rows: Sequence[Row]) -> list[str]:
    """What is missing, unknown, double or without evidence; empty when the table holds."""
    known = {kind: {row.id for row in rows if row.kind == kind} for kind in KINDS}
    found = [f"unknown kind {row.kind} {row.id}" for row in rows if row.kind not in KINDS]
    counts = Counter((row.kind, row.id) for row in rows)
    found += [f"twice: {kind} {name}" for (kind, name), count in counts.items() if count > 1]
    for kind, wanted in expected(root).items():
        found += [f"{kind} {name}: not in the table" for name in sorted(wanted - known[kind])]
        found += [f"{kind} {name}: nothing bears it any more" for name in sorted(known[kind] - wanted)]
    if len(known["event"]) != CATALOGUED:
        found.append(f"event: the catalogue has {CATALOGUED} types, the table {len(known['event'])}")
    found += [fault for row in rows for fault in _evidence(root, row)]
    return found


def expected(root: Path) -> dict[str, frozenset[str]]:
    """What the table must hold, by kind; the catalogue of events is the table's own."""
    return {
        "clause": cited_clauses(root),
        "discrepancy": frozenset(f"D-{number:02d}" for number in range(1, 60)),
        "invariant": frozenset(f"I-{number:02d}" for number in range(1, 33)),
        "class": event_classes(root),
    }


def _evidence(root: Path, row: Row) -> Iterator[str]:
    name = f"{row.kind} {row.id}"
    if bool(row.where) == bool(row.reason):
        yield f"{name}: needs a test or a reason, and not both"
    if row.reason and not REASON.fullmatch(row.reason):
        yield f"{name}: a reason says which issue or rule brings it, and why: {row.reason!r}"
    for node in row.where:
        if node not in test_nodes(root, node.partition("::")[0]):
            yield f"{name}: no such test: {node}"
    if row.kind == "event" and row.where:
        borne = {qualified.rpartition(".")[2] for qualified in event_classes(root)}
        if row.id not in borne:
            yield f"{name}: traced to a test, and no class bears the name"


@cache
def test_nodes(root: Path, file: str) -> frozenset[str]:
    """Node ids of the tests in a file, without parameters; none when there is no such file."""
    path = root / file
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = {f"{file}::{name}" for name in _tests(body)}
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found |= {f"{file}::{node.name}::{name}" for name in _tests(node.body)}
    return frozenset(found)


def _tests(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


@cache
def event_classes(root: Path) -> frozenset[str]:
    """``service.capability.Name`` of the event classes that can stand in a log.

    A module that lists its EVENTS leaves out what is only a base of others.
    """
    found: set[str] = set()
    for path in sorted((root / "services").glob("*/*/events.py")):
        service, capability = path.parts[-3], path.parts[-2]
        module = importlib.import_module(f"services.{service}.{capability}.events")
        registered = getattr(module, "EVENTS", None)
        for name, value in vars(module).items():
            own = isinstance(value, type) and issubclass(value, Event) and value.__module__ == module.__name__
            if own and (registered is None or value in registered):
                found.add(f"{service}.{capability}.{name}")
    return frozenset(found)


@cache
def cited_clauses(root: Path) -> frozenset[str]:
    """Clauses the packs' values and the refusals of the code cite."""
    found: set[str] = set()
    for pack in sorted((root / "shared/policy/packs").glob("*.yaml")):
        found |= set(_clauses(yaml.safe_load(pack.read_text(encoding="utf-8"))))
    for place in ("services", "shared"):
        for source in sorted((root / place).rglob("*.py")):
            for text in CITED.findall(source.read_text(encoding="utf-8")):
                found |= set(text.split())
    return frozenset(token for token in found if CLAUSE.fullmatch(token))


def _clauses(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "clause":
                yield from str(inner).split()
            else:
                yield from _clauses(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _clauses(inner)


def main() -> int:
    """Check the checkout's table."""
    rows = read_table(ROOT / TABLE)
    faults = faults_of(ROOT, rows)
    for fault in faults:
        print(fault)
    print(f"{TABLE}: {len(rows)} rows, {len(faults)} faults", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
