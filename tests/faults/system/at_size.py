"""A campaign of any pack and size that is disturbed, beside one that was not.

``python -m tests.faults.system.at_size --data DIR --kills --changes collection --broker kafka --scale 1``

``--kills``: every service, the driver and the outside world are killed (-9) in mid-run, several times. ``--changes``:
a service's work is shared by two workers; one stands still, a third joins and leaves, the first stands still and
goes on. Ends with 0 when the disturbed run was clean and its report and audit say what those in ``--against``
say; where nothing is there yet, the undisturbed run is made first.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local.layout import Broker
from deploy.local.programs import WORLD, worker_name
from tests.faults.system.village import DRIVER, Kill, Village, differences
from tests.faults.system.workers import Change, Happening, WorkingVillage, listed

ENROLLING = 3
"""Business days begun: people are enrolled on the third."""

KILLS = (
    Kill("registration", "people are enrolled", lambda seen: seen.days() >= ENROLLING),
    Kill("collection", "people are assessed", lambda seen: seen.days() >= ENROLLING),
    Kill("subsidy", "lists were handed in", lambda seen: seen.step_like("%/submit-lists")),
    Kill("collection", "payments begin", lambda seen: seen.paid(0.02)),
    Kill(DRIVER, "a tenth is paid", lambda seen: seen.paid(0.1)),
    Kill("notification", "two tenths are paid", lambda seen: seen.paid(0.2)),
    Kill(WORLD, "three tenths are paid", lambda seen: seen.paid(0.3)),
    Kill("registration", "four tenths are paid", lambda seen: seen.paid(0.4)),
    Kill("collection", "half is paid", lambda seen: seen.paid(0.5)),
    Kill(DRIVER, "six tenths are paid", lambda seen: seen.paid(0.6)),
    Kill("subsidy", "seven tenths are paid", lambda seen: seen.paid(0.7)),
    Kill("collection", "eight tenths are paid", lambda seen: seen.paid(0.8)),
    Kill("registration", "nine tenths are paid", lambda seen: seen.paid(0.9)),
    Kill("notification", "almost all is paid", lambda seen: seen.paid(0.98)),
)


def changes(service: str) -> tuple[Kill, ...]:
    """What befalls a service that two workers share."""
    second, third = worker_name(service, 2), worker_name(service, 3)
    return (
        Change(second, "people are enrolled", lambda seen: seen.days() >= ENROLLING, Happening.STANDS_STILL),
        Change(third, "a tenth is paid", lambda seen: seen.paid(0.1), Happening.JOINS),
        Change(third, "two tenths are paid", lambda seen: seen.paid(0.2), Happening.STANDS_STILL),
        Change(third, "four tenths are paid", lambda seen: seen.paid(0.4), Happening.LEAVES),
        Change(service, "half is paid", lambda seen: seen.paid(0.5), Happening.STANDS_STILL),
        Change(second, "six tenths are paid", lambda seen: seen.paid(0.6), Happening.LEAVES),
        Kill(second, "eight tenths are paid", lambda seen: seen.paid(0.8)),
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A disturbed campaign beside an undisturbed one.")
    parser.add_argument("--pack", default="SC-2025")
    parser.add_argument("--place", default="")
    parser.add_argument("--scale", default="0.02")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--broker", type=Broker, choices=list(Broker), default=Broker.EMBEDDED)
    parser.add_argument("--kills", action="store_true", help="kill -9 of everybody in mid-run")
    parser.add_argument(
        "--changes", metavar="SERVICE", default="", help="two workers of it; they come and go"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of data, reports and logs")
    parser.add_argument("--against", type=Path, help="reports of an undisturbed run of the same campaign")
    parser.add_argument("--port-base", type=int, default=8101)
    parser.add_argument("--patience", type=float, default=7200.0, help="seconds a run may take")
    parser.add_argument("--keep", action="store_true", help="leave the databases")
    return parser.parse_args(arguments)


def disturbances(given: argparse.Namespace) -> list[Kill]:
    """Kills and changes; where both are asked for, the changes of each phase before its kills."""
    asked = [*(changes(given.changes) if given.changes else ()), *(KILLS if given.kills else ())]
    return sorted(asked, key=_phase) if given.kills and given.changes else asked


def _phase(kill: Kill) -> int:
    order = [each.phase for each in KILLS]
    return order.index(kill.phase) if kill.phase in order else -1


def campaign(given: argparse.Namespace) -> list[str]:
    """Options of ``demo``."""
    asked = ["--pack", given.pack, "--scale", given.scale, "--seed", given.seed]
    return [*asked, "--place", given.place] if given.place else asked


async def undisturbed(given: argparse.Namespace) -> Path:
    """The folder of reports of a run nobody disturbed, on the embedded broker; made where there is none."""
    folder: Path = given.against or given.data / "undisturbed" / "out"
    if not (folder / "audit.json").exists():
        if given.against is not None:
            raise SystemExit(f"no reports in {given.against}")
        village = Village(
            given.data / "undisturbed",
            given.port_base,
            campaign=campaign(given),
            patience_seconds=given.patience,
        )
        village.folder.mkdir(parents=True, exist_ok=True)
        print("undisturbed …", flush=True)
        try:
            await village.run()
        finally:
            await village.destroy()
    return folder


async def disturbed(given: argparse.Namespace) -> WorkingVillage:
    """Run it; raises AssertionError when it does not end clean."""
    village = WorkingVillage(
        given.data / "disturbed",
        given.port_base,
        given.broker,
        campaign=campaign(given),
        workers={given.changes: 2} if given.changes else {},
        patience_seconds=given.patience,
    )
    village.folder.mkdir(parents=True, exist_ok=True)
    try:
        await village.run(disturbances(given))
    finally:
        await (village.stop() if given.keep else village.destroy())
    return village


async def compare(given: argparse.Namespace) -> int:
    """0 when the reports agree."""
    expected = await undisturbed(given)
    print("disturbed …", flush=True)
    village = await disturbed(given)
    if village.changes:
        print(listed(village.changes, given.data / "changes.md"))
    restarts = {name: number for name, number in village.restarts().items() if number}
    print(f"started again: {restarts}, the driver {village.driver_kills} times")
    found = differences(village.folder / "out", expected)
    for line in found[:100]:
        print(line)
    report = village.document("report.json")
    print(f"totals {report['totals']}, unaccounted {report['unaccounted_fen']} fen, {report['seconds']} s")
    print("the same report" if not found else f"{len(found)} differences")
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    given = parse(arguments)
    given.data = given.data.resolve()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # ends as Ctrl-C does: what was started is stopped
    return asyncio.run(compare(given))


if __name__ == "__main__":
    sys.exit(main())
