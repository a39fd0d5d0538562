"""``kill -9`` in mid-run of anybody: the same report to the last event and fen (issue 3 §4, architecture §5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from deploy.local.layout import SERVICES
from deploy.local.programs import HOST, WORLD
from tests.faults.system.alarms import LIST, Alarms, Seen, installed, listed, now
from tests.faults.system.conftest import MakeVillage, Undisturbed
from tests.faults.system.village import DRIVER, Kill, Moment, Village, comparable

PART = "kill -9"
DUE_SECONDS = 60.0
"""``for`` of ServiceDown: who is back before is told by no alert, and shall not be."""
OF_A_KILL = frozenset({"ServiceDown", "ServiceNotReady"})
"""What may tell of one that is away for longer; on the rules' faster clock, of one that is back in seconds too."""
NEVER = frozenset({"DeadLetters", "UnaccountedMoney", "WorkFailing", "RequestsFailing"})
"""What no kill may lead to, however fast the rules' clock goes."""
TAKEN = "state = 'TAKEN'"

KILLS = (
    Kill("registration", "people are imported", lambda seen: seen.step("2019-10-02/begin-day")),
    Kill("collection", "orders are placed", lambda seen: seen.books("orders", TAKEN) >= 3),
    Kill(DRIVER, "orders are placed", lambda seen: seen.books("orders", TAKEN) >= 6),
    Kill(WORLD, "orders are placed", lambda seen: seen.books("orders", TAKEN) >= 9),
    Kill("collection", "agents deposit", lambda seen: seen.books("slips") >= 8),
    Kill("collection", "the declaration is verified", lambda seen: seen.step("2019-11-26/declare")),
    Kill(WORLD, "vouchers are debited", lambda seen: seen.books("debits", "source = 'DECLARATION'") >= 1),
    Kill(DRIVER, "the treasury enters", lambda seen: seen.step("2019-11-27/begin-day")),
    Kill(
        "registration",
        "returned lines are booked",
        lambda seen: seen.books("entries", "source = 'DECLARATION' AND result = 'CONFIRMED'") >= 1,
    ),
    Kill("notification", "the stamped roster is shown", lambda seen: seen.step("2019-12-01/begin-day")),
    Kill("subsidy", "refunds are approved", lambda seen: seen.step("2019-12-02/begin-day")),
    Kill(WORLD, "a refund is paid", lambda seen: seen.books("payouts") >= 1),
    Kill("collection", "four parties reconcile", lambda seen: seen.step("2019-12-03/pay-refunds")),
    Kill(DRIVER, "the last refunds are paid", lambda seen: seen.step("2019-12-16/begin-day")),
)


@dataclass
class WatchedVillage(Village):
    """Under a Prometheus, if there is one. killed: when (Unix seconds) who was killed."""

    alarms: Alarms | None = None
    killed: list[tuple[float, Kill]] = field(default_factory=list)

    async def befall(self, moment: Moment, driver: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """See Village.befall."""
        assert isinstance(moment, Kill)
        self.killed.append((now(), moment))
        return await super().befall(moment, driver)

    def seen(self) -> list[Seen]:
        """What each kill led to until the next; the driver and the world outside are not scraped."""
        assert self.alarms is not None
        ends = [*(later for (_, _), (later, _) in pairwise(self.killed)), now()]
        return [
            self._seen(kill, began, ended) for (began, kill), ended in zip(self.killed, ends, strict=True)
        ]

    def _seen(self, kill: Kill, began: float, ended: float) -> Seen:
        assert self.alarms is not None
        fault = f"kill -9 {kill.victim}, {kill.phase}"
        fired = frozenset(self.alarms.fired(began, ended))
        if kill.victim not in SERVICES:
            return Seen(fault, ended - began, "not a process of ours; none due", fired, frozenset())
        address = f"{HOST}:{self.port_base + SERVICES.index(kill.victim)}"
        away = self.alarms.down_seconds(address, began, ended)
        return Seen(fault, away, f"silent for {away:.0f} s; none due within a minute", fired, OF_A_KILL)


@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1500)
async def test_whoever_is_killed_in_mid_run_the_report_is_the_same(
    undisturbed: Undisturbed, make_village: MakeVillage
) -> None:
    """Same seed, fresh data: nothing is lost, doubled or dated otherwise by fourteen kills."""
    village = make_village(kind=WatchedVillage)
    assert isinstance(village, WatchedVillage)
    await _killed(village)
    report, audit = village.document("report.json"), village.document("audit.json")
    expected = Counter(kill.victim for kill in KILLS)
    restarts = village.restarts()
    assert village.driver_kills == expected.pop(DRIVER)
    assert {name: restarts[name] for name in expected} == dict(expected)
    assert audit["event_types"] == undisturbed.audit["event_types"]
    assert comparable(report) == comparable(undisturbed.report)
    for name in ("events", "states", "projections", "gauges", "records_compared"):
        assert audit[name] == undisturbed.audit[name]
    assert audit["clean"] is True
    assert audit["unaccounted_fen"] == report["unaccounted_fen"] == 0


async def _killed(village: WatchedVillage) -> None:
    """The campaign with all kills; under a Prometheus, the alerts of each are those that may tell of it."""
    if not installed():
        await village.run(KILLS)
        return
    village.alarms = Alarms(village.folder / "prometheus", village.layout.targets)
    try:
        await village.alarms.start()
        await village.run(KILLS)
        seen = village.seen()
    finally:
        village.alarms.stop()
    print("\n" + listed(seen, PART))
    assert [each.fault in LIST.read_text(encoding="utf-8") for each in seen] == [True] * len(KILLS)
    assert [each for each in seen if each.fired & NEVER] == []
    assert [each for each in seen if each.expected and each.seconds >= DUE_SECONDS] == []


@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_the_undisturbed_run_is_clean(undisturbed: Undisturbed) -> None:
    """Every invariant was checked and holds; every injected case went as it must (issue 3 §4)."""
    report = undisturbed.report
    assert undisturbed.audit["clean"] is True
    assert (report["unaccounted_fen"], report["difference_fen"]) == (0, 0)
    assert report["records_compared"] > 0
    assert [each for each in report["injected"] if each["outcome"] != each["expected"]] == []
    assert {each["id"] for each in report["invariants"]} == {f"I-{number:02d}" for number in range(1, 33)}
    assert report["totals"]["in_treasury_fen"] == report["totals"]["booked_fen"] > 0
