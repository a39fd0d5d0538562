"""``demo --years``: each year run, audited, written; what is finished is passed over; CPU is a year's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.audit.verify import AuditReport
from deploy.cli import demonstrating
from deploy.cli.demonstrating import Demo, _years
from deploy.local.layout import Options
from deploy.local.measuring import Measured
from deploy.rehearsal.demo import DemoOptions
from deploy.rehearsal.report import Report

CLEAN = AuditReport(
    clean=True, invariants=(), unaccounted_fen=0, difference_fen=0, records_compared=1, events={}, positions={},
    event_types={"PaymentReceived": 7}, states={}, broken=(), differences=(), projections=(), gauges={}, faults=(),
)  # fmt: skip


@dataclass
class Stage:
    """A system that uses ten CPU seconds a look; audits: what the next audits find."""

    audits: Sequence[AuditReport] = (CLEAN, CLEAN)
    ran: list[int] = field(default_factory=list)
    looked: int = 0

    async def run_demo(self, options: DemoOptions, *, number: int = 0) -> Report:
        """A year was run."""
        self.ran.append(number)
        report = Report(
            {"id": "P", "version": 1, "digest": "d"}, f"370406001-{2025 + number}", "place", 1, 1.0
        )
        report.cpu_seconds, report.persons = {"driver": 1.0}, 10
        report.steps = [{"step": "PAY", "types": ["PaymentReceived"], "events": 3, "not_taken": ""}]
        return report

    async def measure(self, _: Path) -> Measured:
        """Ten seconds more."""
        self.looked += 1
        return Measured({}, {"collection": 10.0 * self.looked}, 0.0, {})

    async def verify_running(self, *_: Any, **__: Any) -> AuditReport:
        """The next finding."""
        return self.audits[len(self.ran) - 1]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """In place of the rehearsal, the supervisor's figures, the audit and the page."""
    made = Stage()
    for name in ("run_demo", "measure", "verify_running"):
        monkeypatch.setattr(demonstrating, name, getattr(made, name))

    def write_files(report: Report, out: Path, audit: Any) -> None:
        out.mkdir(parents=True, exist_ok=True)
        told = {"campaign": report.campaign, "cpu": report.cpu_seconds, "audited": audit is not None}
        (out / "report.json").write_text(json.dumps({**told, "events": report.steps[0]["events"]}))

    monkeypatch.setattr(demonstrating, "write_files", write_files)
    return made


def asked(tmp_path: Path, **changes: Any) -> Demo:
    """Two years."""
    options = {"years": 2, "packs": tmp_path, **changes}
    rehearsal = DemoOptions(tmp_path / "driver", tmp_path / "clients", **options)
    return Demo(Options(data=tmp_path, port_base=8101), rehearsal, tmp_path / "out", keep=False, own=False)


def written(folder: Path) -> dict[str, Any]:
    """A year's file."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


async def test_two_years_have_a_report_each_and_their_own_cpu(stage: Stage, tmp_path: Path) -> None:
    """The last year's report is the demo's; its CPU leaves out what the first year and its audit used."""
    report, audited, clean = await _years(asked(tmp_path), 1.5)
    assert (stage.ran, clean, audited) == ([0, 1], True, CLEAN)
    assert (report.campaign, report.seconds["setup"]) == ("370406001-2026", 1.5)
    first, second = written(tmp_path / "out" / "2025"), written(tmp_path / "out")
    assert (first["campaign"], second["campaign"]) == ("370406001-2025", "370406001-2026")
    assert first["cpu"] == {"collection": 10.0, "driver": 1.0}
    assert second["cpu"] == {"collection": 10.0, "driver": 1.0}
    assert (first["events"], second["events"]) == (7, 3), "the audit counts both years' events"


async def test_a_year_that_is_finished_is_not_run_again(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the second year, the same command goes on there and still judges the first."""
    stage.audits = (msgspec.structs.replace(CLEAN, clean=False), CLEAN)
    _, _, clean = await _years(asked(tmp_path), 0.0)
    assert not clean, "the first year was not"
    again = Stage(audits=(CLEAN, CLEAN))
    for name in ("run_demo", "measure", "verify_running"):
        monkeypatch.setattr(demonstrating, name, getattr(again, name))
    _, _, clean = await _years(asked(tmp_path), 0.0)
    assert (again.ran, clean) == ([1], False)


async def test_an_empty_campaign_is_not_audited(stage: Stage, tmp_path: Path) -> None:
    """There is nothing an invariant could look at; what it cost is its report."""
    _, audited, clean = await _years(asked(tmp_path, years=1, empty=True), 0.0)
    assert (audited, clean, written(tmp_path / "out")["audited"]) == (None, True, False)
