"""``kill -9`` in mid-run of anybody: the same report to the last event and fen (issue 3 §4, architecture §5)."""

from __future__ import annotations

from collections import Counter

import pytest

from deploy.local.programs import WORLD
from tests.faults.system.conftest import MakeVillage, Undisturbed
from tests.faults.system.village import DRIVER, Kill, comparable

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


@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1500)
async def test_whoever_is_killed_in_mid_run_the_report_is_the_same(
    undisturbed: Undisturbed, make_village: MakeVillage
) -> None:
    """Same seed, fresh data: nothing is lost, doubled or dated otherwise by fourteen kills."""
    village = make_village()
    await village.run(KILLS)
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
