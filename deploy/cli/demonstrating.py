"""``demo``: a campaign from empty to reconciled on a system of its own, audited at the end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from deploy.audit.running import packs_folder, verify_running
from deploy.audit.verify import AuditReport
from deploy.cli.auditing import show_audit
from deploy.cli.output import Exit, Json, err, fail, out, run, show_json
from deploy.cli.progress import stages
from deploy.cli.system import BrokerOption, PortBase, Workers, starting
from deploy.local import control
from deploy.local.layout import DEFAULT_PORT_BASE, SERVICES, Broker, Options, parse_workers
from deploy.local.measuring import measure
from deploy.local.postgres import PostgresServer, server_for
from deploy.local.processes import StartFailed
from deploy.local.programs import organisations_file
from deploy.local.provisioning import BROKER
from deploy.rehearsal.clients import UnexpectedAnswerError
from deploy.rehearsal.demo import (
    DEFAULT_PACK,
    DemoOptions,
    NotRehearsedError,
    keep_year,
    kept_year,
    plan_of,
    run_demo,
)
from deploy.rehearsal.driver import NotYetError
from deploy.rehearsal.rendering import write_files
from deploy.rehearsal.report import Report
from deploy.rehearsal.resting import RestlessError
from shared.kernel.money import Fen, format_yuan

DRIVER = "driver"
DEFAULT_OUT = Path("out/demo")
OWN_DATA = Path(".liangxian/demo")
INTERRUPTED = (
    "已中断：做完的步骤都已保存，再次运行同一条命令即从断点继续 / "
    "interrupted: what is done is kept; run the same command again and it goes on from there"
)


@dataclass(frozen=True, slots=True)
class Demo:
    """What was asked for. own: the data directory is the demo's own and goes when the demo is over."""

    options: Options
    rehearsal: DemoOptions
    out: Path
    keep: bool
    own: bool
    baseline: Path | None = None


def demo(
    pack: Annotated[str, typer.Option(help="政策包 / policy pack")] = DEFAULT_PACK,
    place: Annotated[
        str, typer.Option(help="地点，缺省为政策包的全部或代表镇街 / a town of the pack, or its whole region")
    ] = "",
    scale: Annotated[float, typer.Option(min=0.01, max=1.0, help="人数比例 / share of the people")] = 1.0,
    villages: Annotated[
        int, typer.Option(min=0, help="每镇街只取前几个村居，0 为全部 / villages of each town, 0: all")
    ] = 0,
    years: Annotated[
        int,
        typer.Option(
            min=1, max=2, help="连续几个年度，第二年用复制的合成方案 / insured years, one after the other"
        ),
    ] = 1,
    empty: Annotated[
        bool,
        typer.Option(
            "--empty", help="空征缴：只有日程，其 report.json 供 --baseline / the days alone, for --baseline"
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="随机种子 / seed: the same people and events")] = 1,
    broker: BrokerOption = Broker.EMBEDDED,
    out_dir: Annotated[Path, typer.Option("--out", help="报告目录 / where the reports go")] = DEFAULT_OUT,
    keep: Annotated[bool, typer.Option("--keep", help="结束后不停止 / leave the system up")] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="空征缴的 report.json，其成本扣除 / an empty campaign's, taken off",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="数据目录 / data directory; the demo's own by default")
    ] = None,
    port_base: PortBase = DEFAULT_PORT_BASE,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """演练征缴全过程 / a whole campaign, from empty to reconciled; a run that was cut off goes on.

    Ends with 1 when anything is unaccounted, violated, or did not go as it must.
    """
    shared = parse_workers(workers or ())
    kind = "-".join(
        [
            *(["empty"] if empty else [f"{years}y"] if years > 1 else []),
            *(f"{name}{number}" for name, number in sorted(shared.items())),
        ]
    )
    folder = data or OWN_DATA / _name(pack, place, scale, villages, seed, broker, kind)
    asked = Demo(
        Options(data=folder, broker=broker, port_base=port_base, workers=shared),
        DemoOptions(
            data=folder.resolve() / DRIVER,
            organisations=organisations_file(),
            pack=pack,
            place=place,
            scale=scale,
            villages=villages,
            years=years,
            empty=empty,
            packs=packs_folder(folder.resolve()),
            seed=seed,
            broker=broker.value,
            port_base=port_base,
        ),
        out_dir,
        keep,
        data is None,
        baseline,
    )
    try:
        plan_of(asked.rehearsal)
    except NotRehearsedError as fault:
        fail(Exit.USAGE, str(fault))
    report, audited, clean = run(lambda: _demo(asked), INTERRUPTED)
    if as_json:
        show_json(report.document())
    else:
        _show(report, audited, out_dir)
    if not clean:
        raise typer.Exit(int(Exit.DIFFERENCE))


def _name(
    pack: str, place: str, scale: float, villages: int, seed: int, broker: Broker, kind: str = ""
) -> str:
    """Folder of a demo's own data: the same command finds it again, another one does not."""
    where = hashlib.sha256(f"{place}:{villages}".encode()).hexdigest()[:6] if place or villages else ""
    return "-".join(filter(None, (pack, where, str(seed), f"{scale:g}", broker.value, kind)))


Done = tuple[Report, AuditReport | None, bool]
"""The last year's report and audit (an empty campaign has none), and whether all years are clean."""


async def _demo(asked: Demo) -> Done:
    """Start, run, audit, write, stop. The system stops however the run ends, unless it is to be kept."""
    with _stopped_by_term():
        try:
            return await _started(asked)
        except NotRehearsedError as fault:
            fail(Exit.USAGE, str(fault))
        except StartFailed as fault:
            fail(Exit.UNREACHABLE, str(fault))
        except NotYetError as fault:
            fail(Exit.UNREACHABLE, f"外部世界无应答 / the outside world does not answer: {fault}")
        except UnexpectedAnswerError as fault:
            fail(Exit.DIFFERENCE if fault.status else Exit.UNREACHABLE, str(fault))
        except RestlessError as fault:
            fail(Exit.TIMED_OUT, f"系统未静止 / the system did not come to rest: {fault}")


async def _started(asked: Demo) -> Done:
    began = time.monotonic()
    try:
        with stages() as told:
            await control.up(asked.options, lambda ready, of: starting(told, ready, of))
        done = await _years(asked, time.monotonic() - began)
    finally:
        if not asked.keep:
            err.print("停止中 / stopping …")
            await control.down(asked.options.data)
    if asked.own and not asked.keep:
        await _forget(asked.options.data)
    return done


async def _years(asked: Demo, setup: float) -> Done:
    """Year after year, each run, measured, audited and written; those finished by an earlier call are passed over."""
    years, clean = asked.rehearsal.years, True
    used: dict[str, float] = {}
    for number in range(years - 1):
        kept = kept_year(asked.rehearsal, number)
        if kept is None:
            report, audited = await _year(asked, number, setup, used)
            kept = {
                "clean": _is_clean(report, audited),
                "cpu": (await measure(asked.options.data)).cpu_seconds,
            }
            keep_year(asked.rehearsal, number, kept)
        clean, used = clean and bool(kept["clean"]), dict(kept["cpu"])
    report, audited = await _year(asked, years - 1, setup, used)
    return report, audited, clean and _is_clean(report, audited)


def _is_clean(report: Report, audited: AuditReport | None) -> bool:
    return report.clean and (audited is None or audited.clean)


async def _year(
    asked: Demo, number: int, setup: float, used: Mapping[str, float]
) -> tuple[Report, AuditReport | None]:
    """A year's report in its folder: the last one's is the demo's own. used: CPU seconds of the years before."""
    report = await run_demo(asked.rehearsal, number=number)
    report.seconds["setup"] = round(setup, 1)
    await _measure(asked, report, used)
    audited = None if asked.rehearsal.empty else await _audit(asked, report, number)
    report.peak_mib = (await measure(asked.options.data)).peak_mib
    last = number == asked.rehearsal.years - 1
    folder = asked.out if last else asked.out / report.campaign.rpartition("-")[2]
    write_files(report, folder, msgspec.to_builtins(audited) if audited is not None else None)
    return report, audited


async def _forget(data: Path) -> None:
    """Remove a finished demo's own data, its databases included, so that the next one starts from empty."""
    server = server_for(data)
    if isinstance(server, PostgresServer):
        await asyncio.to_thread(server.destroy)
    else:
        for name in (*SERVICES, BROKER):
            await server.drop_database(name)
    await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)


async def _audit(asked: Demo, report: Report, number: int) -> AuditReport:
    """The audit of everything so far; events of the steps are a year's own, as the report has counted them."""
    began = time.monotonic()
    with stages() as told:
        audited = await verify_running(asked.options.data, asked.options.port_base, progress=told)
    report.add_audit(
        {
            "invariants": [_invariant(each) for each in audited.invariants],
            "difference_fen": audited.difference_fen,
            "unaccounted_fen": audited.unaccounted_fen,
            "records_compared": audited.records_compared,
        },
        audited.event_types if number == 0 else {},
    )
    report.seconds["verify"] = round(time.monotonic() - began, 1)
    return audited


def _invariant(found: Any) -> dict[str, Any]:
    """A row of the report: what is empty is left out."""
    row = {"id": found.id, "checked": found.checked, "violations": found.violations}
    if found.not_applicable:
        row["not_applicable"] = found.not_applicable
    if found.details:
        row["details"] = list(found.details)
    return row


async def _measure(asked: Demo, report: Report, used: Mapping[str, float]) -> None:
    """Memory, CPU seconds and disk as the supervisor and the kernel saw them until now: the audit's not."""
    measured = await measure(asked.options.data)
    report.peak_mib = measured.peak_mib
    programs = {name: round(cpu - used.get(name, 0.0), 2) for name, cpu in measured.cpu_seconds.items()}
    report.cpu_seconds = {**programs, **report.cpu_seconds}
    report.disk_mib = measured.disk_mib
    report.disk_mib_parts = measured.disk_mib_parts
    report.add_costs(json.loads(asked.baseline.read_text(encoding="utf-8")) if asked.baseline else None)


@contextmanager
def _stopped_by_term() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that it stops what it started."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(report: Report, audited: AuditReport | None, folder: Path) -> None:
    if audited is not None:
        show_audit(audited)
    for each in report.injected:
        mark = "✓" if each["outcome"] == each["expected"] else "✗"
        out.print(f"{mark} {each['kind']}: {each['outcome']}", markup=False)
    for name, fen in report.totals.items():
        out.print(f"{name:<18}{format_yuan(Fen(fen)):>16} 元")
    for name, cost in report.costs.items():
        out.print(f"{name:<24}{cost}", markup=False)
    for name, address in report.endpoints.items():
        out.print(f"{name:<24}{address}", markup=False)
    out.print(f"报告 / report: {folder / 'report.html'}", markup=False)
