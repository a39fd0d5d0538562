"""Auditing a system by its doors: rest, books, replays and the gauge; what cannot be compared is a fault."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from deploy.audit import running
from deploy.audit.evidence import BankDeposit, RefundPaid, Row, Takings, TreasuryEntry
from deploy.audit.running import (
    NotRunningError,
    Running,
    Since,
    auditor_addresses,
    books_of,
    gauges_of,
    verify,
)
from deploy.audit.survey import Survey, survey_rows
from deploy.audit.verify import AuditReport, audit
from deploy.rehearsal.clients import SERVICES, Services, UnexpectedAnswerError
from tests.unit.audit.village import CAMPAIGN, Village, sound_village

METRICS = f"""# TYPE liangxian_unaccounted_fen gauge
liangxian_unaccounted_fen{{campaign="{CAMPAIGN}",insurance="medical",service="collection"}} 0.0
liangxian_unaccounted_fen{{campaign="{CAMPAIGN}",insurance="pension",service="collection"}} 0.0
liangxian_unaccounted_checked_timestamp_seconds{{service="collection"}} 1.57e+09
"""


class MemoryLog:
    """See ``reading.Log``."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    async def survey(self, since: int = 0) -> Survey:
        return survey_rows(self._rows, since)

    async def pages(self, types: Sequence[str]) -> AsyncIterator[list[Row]]:
        found = [row for row in self._rows if row.type in types]
        for first in range(0, len(found), 2):
            yield found[first : first + 2]


NO_TRAFFIC: dict[str, Any] = {"parked": 1, "taken": {}, "published": {}}
"""Of a service with something parked, which does not keep an audit from being taken."""


class System:
    """The doors of four services and the outside world over a village's rows."""

    def __init__(self, village: Village) -> None:
        self.village = village
        self.metrics = METRICS
        self.differences = 0
        self.drained = True
        self.replies = 200
        self.replayed: list[str] = []
        self.progress: list[tuple[str, int, int]] = []
        self.statement = {
            "rows": [msgspec.to_builtins(row) for row in village.books.rows],
            "deposits": [msgspec.to_builtins(row) for row in village.books.deposits],
            "treasury": [
                {**msgspec.to_builtins(row), "result": "CONFIRMED"} for row in village.books.treasury
            ],
            "refunds": [msgspec.to_builtins(row) for row in village.books.refunds],
        }

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t"})
        if path == "/ops/lag":
            return httpx.Response(200, json={"drained": self.drained} | NO_TRAFFIC)
        if path == "/ops/projections":
            return httpx.Response(200, json={"items": ["one", "two"], "replaying": None})
        if path == "/ops/projections:replay":
            assert json.loads(request.content) == {"swap": False}
            self.replayed.append(request.url.host)
            found = [{"projection": name, "differences": self.differences} for name in ("one", "two")]
            return httpx.Response(self.replies, json={"items": found, "code": "BROKEN"})
        if path == "/books":
            return httpx.Response(200, json=self.page(request.url.params))
        if path == "/metrics":
            return httpx.Response(200, text=self.metrics)
        return httpx.Response(404, json={"code": "NOT_FOUND"})

    def page(self, asked: httpx.QueryParams) -> dict[str, Any]:
        """A page of the outside's books, two lines at a time."""
        assert asked["campaign"] == CAMPAIGN
        lines, after = self.statement[asked["part"]], int(asked["after"])
        more = after + 2 < len(lines)
        return {"items": lines[after : after + 2], "next": after + 2 if more else None}

    @asynccontextmanager
    async def open(self, address: str) -> AsyncIterator[Any]:
        """A log in memory, two rows at a time."""
        yield MemoryLog(self.village.logs[address])

    async def audit(self, monkeypatch: pytest.MonkeyPatch, since: Since = 0) -> AuditReport:
        monkeypatch.setattr(running, "REST_SECONDS", 0.5)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        services = Services({name: f"http://{name}" for name in SERVICES}, {"ops": "s"}, http, 1.0)
        async with http:
            addresses = {name: name for name in SERVICES}
            system = Running(addresses, services, http, "http://world", self.open)
            return await verify(system, since, lambda *at: self.progress.append(at))


async def test_a_sound_system_is_clean_and_every_read_model_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = System(sound_village())
    report = await system.audit(monkeypatch)
    assert report.clean
    assert sorted(system.replayed) == sorted(SERVICES)
    assert len(report.projections) == 2 * len(SERVICES)
    assert report.gauges == {f"{CAMPAIGN} medical": 0, f"{CAMPAIGN} pension": 0}


async def test_pages_of_logs_and_books_are_as_good_as_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows at a time or all at once: the same report, and every log is told to be done."""
    system = System(sound_village())
    report = await system.audit(monkeypatch)
    whole = audit(system.village.evidence(), report.projections, report.gauges)
    assert msgspec.structs.replace(report, events={}, positions={}) == msgspec.structs.replace(
        whole, events={}, positions={}
    )
    done = {label for label, at, of in system.progress if at == of}
    assert len([label for label in done if "reading the" in label]) == len(SERVICES)


async def test_a_later_audit_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """``verify --since``: each log from its own position; what was judged before is context."""
    system = System(sound_village())
    ended = (await system.audit(monkeypatch)).positions
    since = {name: last + 1 for name, last in ended.items()}
    system.village.change("PersonRegistered", birth="2030-01-01")
    quiet = await system.audit(monkeypatch, since)
    assert quiet.clean
    assert next(each for each in quiet.invariants if each.id == "I-14").not_applicable
    system.village.again("PaymentReceived", line_id="C-9/1", payment_id="C-9", fen=1)
    found = await system.audit(monkeypatch, since)
    assert {each.id for each in found.invariants if each.violations} == {"I-14", "I-17", "I-19"}


async def test_a_replay_that_fails_fails_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that cannot replay is not passed over."""
    system = System(sound_village())
    system.replies = 409
    with pytest.raises(UnexpectedAnswerError, match="409"):
        await system.audit(monkeypatch)


async def test_a_missing_gauge_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """architecture §5: a missing gauge fails the audit."""
    system = System(sound_village())
    system.metrics = "liangxian_unaccounted_checked_timestamp_seconds 1\n"
    report = await system.audit(monkeypatch)
    assert report.faults == (f"GAUGE_MISSING {CAMPAIGN}",)
    assert not report.clean


async def test_a_gauge_that_shows_money_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(sound_village())
    system.metrics = METRICS.replace("0.0", "100.0", 1)
    report = await system.audit(monkeypatch)
    assert report.faults == (f"GAUGE_DIFFERS {CAMPAIGN} medical",)


async def test_a_replay_that_differs_fails_i30(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(sound_village())
    system.differences = 3
    report = await system.audit(monkeypatch)
    assert [each.id for each in report.invariants if each.violations] == ["I-30"]


async def test_a_system_that_does_not_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(sound_village())
    system.drained = False
    assert (await system.audit(monkeypatch)).faults == ("NOT_AT_REST",)


async def test_nothing_compared_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """architecture §5: none compared is a failure, not a zero."""
    system = System(Village())
    report = await system.audit(monkeypatch)
    assert "NOTHING_COMPARED" in report.faults
    assert (report.unaccounted_fen, report.clean) == (0, False)


def test_what_the_treasury_sent_back_was_never_entered() -> None:
    """Scenario 10: only confirmed entries are in the treasury's book."""
    entry = {"voucher_no": "V-1", "cycle": 1, "fen": 5, "result": "REJECTED", "reason": "X"}
    row = {
        "village": "370406101201", "insurance": "medical", "date": "2019-11-02", "channel": "WECHAT",
        "count": 1, "fen": 26_000, "refunded_fen": 26_000, "kind": "CHANNEL",
    }  # fmt: skip
    slip = {"slip_no": "S1", "fen": 5, "kind": "DEPOSIT", "bank": "b"}
    statement: dict[str, Any] = {
        "rows": [row],
        "deposits": [slip],
        "treasury": [entry, {**entry, "cycle": 2, "result": "CONFIRMED", "reason": ""}],
        "refunds": [{"refund_no": "F-1", "line_id": "W/1", "fen": 26_000, "date": "2019-11-04"}],
    }
    books = books_of([statement])
    assert books.treasury == (TreasuryEntry("V-1", 5),)
    assert books.deposits == (BankDeposit("S1", 5),)
    assert books.rows[0] == msgspec.convert(row, Takings)
    assert books.refunds == (RefundPaid("W/1", 26_000),)


def test_a_gauge_never_reckoned_is_missing() -> None:
    """A stale 0 must show: without the time of reckoning the 0 means nothing."""
    _, missing = gauges_of(METRICS.replace("1.57e+09", "0.0"), [CAMPAIGN])
    assert missing == ["GAUGE_NEVER_RECKONED"]


def test_without_a_system_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        auditor_addresses(tmp_path)


def test_only_the_auditors_addresses_are_used(tmp_path: Path) -> None:
    """The read-only role, never the service's own (architecture §5)."""
    stored = {name: {"service": "s", "migrate": "m", "auditor": f"a-{name}"} for name in SERVICES}
    (tmp_path / "databases.json").write_text(json.dumps(stored), encoding="utf-8")
    assert auditor_addresses(tmp_path) == {name: f"a-{name}" for name in SERVICES}
