"""Engines, network and clock fail in mid-campaign: the report is the same, and an alert told of it (issue 5 §2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.output import Exit
from tests.conftest import in_own_loop
from tests.faults.system.alarms import LIST, PARTS, Alarms, Seen, installed, listed
from tests.faults.system.conftest import Undisturbed, free_port_base
from tests.faults.system.faulty import (
    DATABASES,
    FAKETIME,
    Fault,
    FaultyVillage,
    clock_set,
    delivered_twice,
    disk_full,
    over,
    postgres_restarted,
    postmaster_killed,
    small_file_system,
)
from tests.faults.system.test_kills import TAKEN
from tests.faults.system.test_losses import found_by
from tests.faults.system.village import comparable

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.timeout(1500)]

PART = "engines, network, clock"
AWAY = frozenset({"ServiceDown", "ServiceNotReady"})
"""A service without its database cannot tell its metrics, or tells that it is not ready."""
MUTE = frozenset({"BrokerUnreachable", "ConsumerStalled", "ServiceNotReady"})
"""Relays fail to publish, if there is anything to publish; consumers get nothing and say so."""

RESTART = Fault(
    "PostgreSQL restarted", postgres_restarted, lambda seen: seen.step("2019-10-02/begin-day"), AWAY
)
CUT = Fault(
    "network cut: collection – its database",
    over("collection"),
    lambda seen: seen.books("orders", TAKEN) >= 3,
    AWAY,
)
KILL = Fault("PostgreSQL kill -9", postmaster_killed, lambda seen: seen.books("orders", TAKEN) >= 9, AWAY)
BROKER_AWAY = Fault(
    "broker away for 30 s", over("broker"), lambda seen: seen.books("slips") >= 8, MUTE, seconds=30.0
)
SLOW = Fault(
    "network slow: everybody – databases and broker",
    over(*DATABASES, delay=0.02),
    lambda seen: seen.step("2019-11-26/declare"),
    seconds=6.0,
)
FULL = Fault(
    "disk full",
    disk_full,
    lambda seen: seen.books("debits", "source = 'DECLARATION'") >= 1,
    AWAY | MUTE | {"WritesRefused", "WorkFailing"},
)
TWICE = Fault(
    "every message delivered twice",
    delivered_twice,
    lambda seen: seen.step("2019-11-27/begin-day"),
    seconds=0.0,
)
SILENT = Fault(
    "network silent: registration – its database",
    over("registration", silent=True),
    lambda seen: seen.books("entries", "source = 'DECLARATION' AND result = 'CONFIRMED'") >= 1,
    AWAY,
)
AHEAD = Fault(
    "clock ahead by an hour", clock_set(3600), lambda seen: seen.step("2019-12-01/begin-day"), seconds=4.0
)
BEHIND = Fault(
    "clock behind by an hour", clock_set(-3600), lambda seen: seen.step("2019-12-02/begin-day"), seconds=4.0
)
ALWAYS = (RESTART, CUT, KILL, BROKER_AWAY, SLOW, TWICE, SILENT)


def possible(small: Path | None) -> list[Fault]:
    """What can be done to a village on this machine, in the order of the campaign."""
    late = [FULL] if small is not None else []
    clocks = [AHEAD, BEHIND] if FAKETIME else []
    return [*ALWAYS[:5], *late, *ALWAYS[5:], *clocks]


@dataclass(frozen=True)
class Suffered:
    """What a campaign that went through all of it left behind.

    again: its events after every log was published a second time at the end; clean: what the audit said then.
    """

    report: dict[str, Any]
    audit: dict[str, Any]
    seen: dict[str, Seen]
    resent: int
    clean: tuple[int, int, bool]


@pytest.fixture(scope="module")
def suffered(tmp_path_factory: pytest.TempPathFactory) -> Suffered:
    """The small village once, all faults in turn."""
    folder = tmp_path_factory.mktemp("faulty")

    async def run() -> Suffered:
        with small_file_system() as small:
            village = FaultyVillage(folder, free_port_base(), small=small)
            await village.open()
            village.alarms = Alarms(folder / "prometheus", village.layout.targets) if installed() else None
            try:
                if village.alarms is not None:
                    await village.alarms.start()
                await village.suffer(possible(small))
                resent = await village.resend()
                clean = await found_by(village)
            finally:
                if village.alarms is not None:
                    village.alarms.stop()
                await village.close()
                print("\n" + listed(village.seen, PART))
            seen = {each.fault: each for each in village.seen}
            return Suffered(
                village.document("report.json"), village.document("audit.json"), seen, resent, clean
            )

    return in_own_loop(run())


def test_the_report_is_that_of_an_undisturbed_campaign(undisturbed: Undisturbed, suffered: Suffered) -> None:
    """Engines, network and clock fail ten times: not an event, a fen or a date differs."""
    assert suffered.audit["event_types"] == undisturbed.audit["event_types"]
    assert comparable(suffered.report) == comparable(undisturbed.report)
    assert suffered.audit["clean"] is True
    assert suffered.report["unaccounted_fen"] == 0


def test_messages_that_all_come_again_change_nothing(suffered: Suffered) -> None:
    """The whole of every log published once more behind the finished campaign: the audit is clean as before."""
    assert suffered.resent > 0
    assert suffered.clean == (Exit.OK, 0, True)


@pytest.mark.parametrize(
    "fault", [each for each in [*ALWAYS, FULL] if each.alerts], ids=lambda fault: fault.name
)
def test_a_fault_is_told_by_an_alert(suffered: Suffered, fault: Fault) -> None:
    """What an operator is told of it, by the rules of deploy/prometheus on a faster clock."""
    if fault.name not in suffered.seen:
        pytest.skip("needs root (a small file system) or libfaketime (apt-get install libfaketime)")
    if not installed():
        pytest.skip("Prometheus is not installed (apt-get install prometheus)")
    seen = suffered.seen[fault.name]
    assert seen.fired & fault.alerts, seen


def test_the_list_of_faults_is_written(suffered: Suffered) -> None:
    """Fault, what was seen, alert fired: a line each."""
    lines = (PARTS / f"{PART}.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 + len(suffered.seen)
    assert set(lines) <= set(LIST.read_text(encoding="utf-8").splitlines())
    assert all(suffered.seen[fault.name].seconds >= fault.seconds for fault in ALWAYS)
