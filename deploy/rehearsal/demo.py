"""``run_demo``: a campaign from empty to reconciled on a system that runs already, and what it showed.

Who calls it (the command line) starts and stops the processes and adds the audit's findings.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from httpx_aiohttp import AiohttpTransport

from deploy.rehearsal.campaign import EmptyCampaign, campaign_of
from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.driver import Driver, Outside, Watcher, drain_over_http
from deploy.rehearsal.files import Files
from deploy.rehearsal.journal import Journal, OtherRunError
from deploy.rehearsal.plan import Plan, draw_plan, follow_plan, nobody
from deploy.rehearsal.report import Report, collect_report
from deploy.rehearsal.script import SCRIPTS
from deploy.rehearsal.watching import watcher_for
from deploy.rehearsal.years import continue_from
from shared.policy import Pack, copy_to_year, dump, load_packs
from shared.policy.registry import open_registry

WORLD_OFFSET = 9
YEARS = ("SC-2025",)
"""Packs that are rehearsed for two years: the second is a synthetic copy."""
DEFAULT_PACK = "SC-2025"
REQUEST_SECONDS = 900.0
"""A treasury day, or a day of everybody paying, is one call of the outside world."""


class NotRehearsedError(ValueError):
    """A pack, place or scale this rehearsal cannot run; says which."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to run, on which system. data: folder of the journal; organisations: the clients' file.

    place: a town of the pack or its whole region, "" for the pack's own; villages: only so many of each town.
    years: insured years one after the other, the later ones by copies of the pack in ``packs``, the folder the
    services look into; empty: a campaign of its days alone, nobody in it.
    """

    data: Path
    organisations: Path
    pack: str = DEFAULT_PACK
    place: str = ""
    scale: float = 1.0
    villages: int = 0
    years: int = 1
    empty: bool = False
    packs: Path | None = None
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
    if options.years > 1 and (options.empty or options.packs is None or pack.id not in YEARS):
        raise NotRehearsedError(f"跨年演练只支持 / several years are rehearsed with {', '.join(YEARS)} only")
    try:
        plan = draw_plan(
            pack, options.place, options.seed, options.scale, options.villages, goes_on=options.years > 1
        )
    except ValueError as fault:
        raise NotRehearsedError(str(fault)) from None
    return nobody(plan) if options.empty else plan


def write_next_pack(plan: Plan, folder: Path) -> Pack:
    """The plan's pack a year later, marked synthetic, written where the services look for packs."""
    pack, year = plan.pack, plan.year + 1
    name = f"{pack.id.rpartition('-')[0]}-{year}"
    path = folder / f"{name}.yaml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        text = dump(copy_to_year(pack, name, year), "synthetic")
        partial = path.with_suffix(".part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    found = open_registry(folder).newest(name)
    if found is None:
        raise NotRehearsedError(f"{path}")
    return found


def journal_of(options: DemoOptions, number: int = 0) -> Journal:
    """The journal of the first year (0) or of one that follows it."""
    return Journal(options.data / ("demo.sqlite" if number == 0 else f"demo-{number + 1}.sqlite"))


async def run_demo(options: DemoOptions, watcher: Watcher | None = None, number: int = 0) -> Report:
    """Run, or go on with, the campaign; answers the report without the audit's findings.

    number: of the year, from 0; the years before it are behind us.
    Raises NotRehearsedError for options, or when the folder holds a run with others; RestlessError when the
    system does not come to rest; UnexpectedAnswerError when a service answers what it must not.
    """
    plan = plan_of(options)
    journal = journal_of(options, number)
    timeout = httpx.Timeout(REQUEST_SECONDS, connect=10)
    limits = httpx.Limits(max_connections=4 * options.concurrency)
    http = httpx.AsyncClient(timeout=timeout, transport=AiohttpTransport(limits=limits))
    try:
        _bind(journal, options)
        services = Services.on(options.port_base, options.organisations, http, options.host)
        outside = Outside(f"http://{options.host}:{options.port_base + WORLD_OFFSET}", http)
        with watcher_for(watcher) as shown:
            driver = Driver(
                plan, services, outside, journal, Files(services), drain_over_http(services), shown,
                options.concurrency,
            )  # fmt: skip
            if number:
                await _follow(driver, options)
            await (EmptyCampaign(driver) if options.empty else campaign_of(driver)).run()
        report = await collect_report(driver)
        report.seconds["run"] = round(journal.seconds(), 1)
        report.cpu_seconds = {"driver": round(journal.cpu_seconds(), 2)}
        report.broker = options.broker
        report.endpoints = options.endpoints or endpoints(options)
        return report
    finally:
        journal.close()
        await http.aclose()


def kept_year(options: DemoOptions, number: int) -> dict[str, Any] | None:
    """What was kept of a year when it was finished; None while it is not."""
    journal = journal_of(options, number)
    try:
        kept: dict[str, Any] | None = journal.note("finished")
        return kept
    finally:
        journal.close()


def keep_year(options: DemoOptions, number: int, kept: dict[str, Any]) -> None:
    """The year is finished: it is run, audited and written, and another one may begin."""
    journal = journal_of(options, number)
    try:
        journal.write("finished", kept)
    finally:
        journal.close()


async def _follow(driver: Driver, options: DemoOptions) -> None:
    """Give the driver the plan of the year after its own, and who is who from the year before."""
    assert options.packs is not None
    driver.plan = follow_plan(driver.plan, write_next_pack(driver.plan, options.packs))
    earlier = journal_of(options)
    try:
        await continue_from(driver, earlier)
    finally:
        earlier.close()


def _bind(journal: Journal, options: DemoOptions) -> None:
    run = {name: getattr(options, name) for name in ("pack", "place", "scale", "seed", "villages")}
    run |= {"years": options.years} if options.years > 1 else {}
    run |= {"empty": True} if options.empty else {}
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
