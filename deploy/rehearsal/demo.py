"""``run_demo``: a campaign from empty to reconciled on a system that runs already, and what it showed.

Who calls it (the command line) starts and stops the processes and adds the audit's findings.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.rehearsal.campaign import campaign_of
from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.driver import Driver, Outside, Watcher, drain_over_http
from deploy.rehearsal.files import Files
from deploy.rehearsal.journal import Journal, OtherRunError
from deploy.rehearsal.plan import Plan, draw_plan
from deploy.rehearsal.report import Report, collect_report
from deploy.rehearsal.script import SCRIPTS
from deploy.rehearsal.watching import watcher_for
from shared.policy import load_packs

WORLD_OFFSET = 9
DEFAULT_PACK = "SC-2025"
REQUEST_SECONDS = 900.0
"""A treasury day, or a day of everybody paying, is one call of the outside world."""


class NotRehearsedError(ValueError):
    """A pack, place or scale this rehearsal cannot run; says which."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to run, on which system. data: folder of the journal; organisations: the clients' file.

    place: a town of the pack or its whole region, "" for the pack's own; villages: only so many of each town.
    """

    data: Path
    organisations: Path
    pack: str = DEFAULT_PACK
    place: str = ""
    scale: float = 1.0
    villages: int = 0
    seed: int = 1
    broker: str = "embedded"
    host: str = "127.0.0.1"
    port_base: int = 8101
    concurrency: int = 8
    endpoints: dict[str, str] = field(default_factory=dict)


def plan_of(options: DemoOptions) -> Plan:
    """The plan of the options. Raises NotRehearsedError."""
    pack = load_packs().get(options.pack)
    if pack is None or pack.id not in SCRIPTS:
        raise NotRehearsedError(
            f"此演练只支持 / this rehearsal runs {', '.join(SCRIPTS)} only: {options.pack}"
        )
    try:
        return draw_plan(pack, options.place, options.seed, options.scale, options.villages)
    except ValueError as fault:
        raise NotRehearsedError(str(fault)) from None


async def run_demo(options: DemoOptions, watcher: Watcher | None = None) -> Report:
    """Run, or go on with, the campaign; answers the report without the audit's findings.

    Raises NotRehearsedError for options, or when the folder holds a run with others; RestlessError when the
    system does not come to rest; UnexpectedAnswerError when a service answers what it must not.
    """
    plan = plan_of(options)
    journal = Journal(options.data / "demo.sqlite")
    limits = httpx.Limits(max_connections=4 * options.concurrency)
    timeout = httpx.Timeout(REQUEST_SECONDS, connect=10)
    http = httpx.AsyncClient(timeout=timeout, trust_env=False, limits=limits)
    try:
        _bind(journal, options)
        services = Services.on(options.port_base, options.organisations, http, options.host)
        outside = Outside(f"http://{options.host}:{options.port_base + WORLD_OFFSET}", http)
        with watcher_for(watcher) as shown:
            driver = Driver(
                plan, services, outside, journal, Files(services), drain_over_http(services), shown,
                options.concurrency,
            )  # fmt: skip
            await campaign_of(driver).run()
        report = await collect_report(driver)
        report.seconds["run"] = round(journal.seconds(), 1)
        report.broker = options.broker
        report.endpoints = options.endpoints or endpoints(options)
        return report
    finally:
        journal.close()
        await http.aclose()


def _bind(journal: Journal, options: DemoOptions) -> None:
    run = {name: getattr(options, name) for name in ("pack", "place", "scale", "seed", "villages")}
    try:
        journal.open_run(run)
    except OtherRunError:
        known = journal.note("run")
        raise NotRehearsedError(
            f"{options.data} 中是另一次演练 / holds another run: {known}; 换目录或删除 / use another folder"
        ) from None


def endpoints(options: DemoOptions) -> dict[str, str]:
    """Addresses of docs and metrics."""
    found: dict[str, str] = {}
    for offset, name in enumerate(SERVICES):
        base = f"http://{options.host}:{options.port_base + offset}"
        found[f"{name}_docs"] = f"{base}/docs"
        found[f"{name}_metrics"] = f"{base}/metrics"
    found["books"] = f"http://{options.host}:{options.port_base + WORLD_OFFSET}/books"
    return found


def main(arguments: list[str] | None = None) -> int:
    """``python -m deploy.rehearsal.demo``: drive a system that runs; prints the report as JSON."""
    import argparse

    parser = argparse.ArgumentParser(description="演练驱动 / drive a rehearsal on a running system")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--organisations", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port-base", type=int, default=8101)
    given = parser.parse_args(arguments)
    options = DemoOptions(
        given.data, given.organisations, scale=given.scale, seed=given.seed, port_base=given.port_base
    )
    report: Any = asyncio.run(run_demo(options))
    print(report.json())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
