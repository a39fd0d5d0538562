"""Two runs are compared to the last value; what may differ is named (issue 4: kill -9 ends in the same report)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.system.village import differences

REPORT = {
    "broker": "embedded",
    "seconds": {"run": 1.0},
    "totals": {"due_fen": 5, "booked_fen": 5},
    "villages": [{"code": "a", "paid": 1}, {"code": "b", "paid": 2}],
    "injected": [{"kind": "double", "outcome": "refunded", "event_ids": ["x"]}],
}
AUDIT = {"clean": True, "unaccounted_fen": 0, "events": {"collection": 7}, "positions": {"collection": 9}}


def written(folder: Path, report: dict[str, Any], audit: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
    return folder


def test_time_memory_broker_and_ids_may_differ(tmp_path: Path) -> None:
    """Nothing that a campaign is about."""
    other = REPORT | {
        "broker": "kafka",
        "seconds": {"run": 2.0},
        "peak_mib": {},
        "injected": [{"kind": "double", "outcome": "refunded", "event_ids": ["y"]}],
    }
    one = written(tmp_path / "one", REPORT, AUDIT)
    two = written(tmp_path / "two", other, AUDIT | {"positions": {"collection": 12}})
    assert differences(two, one) == []


@pytest.mark.parametrize(
    ("report", "audit", "line"),
    [
        (
            {"totals": {"due_fen": 5, "booked_fen": 4}},
            {},
            "report.json: totals.booked_fen: 4, undisturbed 5",
        ),
        (
            {"villages": [{"code": "a", "paid": 1}, {"code": "b", "paid": 3}]},
            {},
            "report.json: villages[1].paid: 3, undisturbed 2",
        ),
        ({"injected": []}, {}, "report.json: injected: [], undisturbed"),
        ({}, {"events": {"collection": 8}}, "audit.json: events.collection: 8, undisturbed 7"),
        ({}, {"clean": False}, "audit.json: clean: False, undisturbed True"),
    ],
)
def test_a_fen_an_event_or_a_case_more_or_less_is_told(
    tmp_path: Path, report: dict[str, Any], audit: dict[str, Any], line: str
) -> None:
    """The innermost place is named, once."""
    expected = written(tmp_path / "one", REPORT, AUDIT)
    found = differences(written(tmp_path / "two", REPORT | report, AUDIT | audit), expected)
    assert len(found) == 1
    assert found[0].startswith(line)
