"""``verify``: audit a running system from outside the services' own sums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from deploy.audit.evidence import SERVICES
from deploy.audit.running import NotRunningError, Since, verify_running
from deploy.audit.verify import AuditReport
from deploy.cli.operations import port_base_of
from deploy.cli.output import Exit, Json, fail, out, run, show_json
from deploy.cli.progress import stages
from deploy.cli.system import Data, PortBase
from deploy.local.layout import DEFAULT_DATA, DEFAULT_PORT_BASE
from deploy.rehearsal.clients import UnexpectedAnswerError
from shared.kernel.money import Fen, format_yuan

INTERRUPTED = (
    "已中断：核查只读，未改动任何数据；再运行 verify 从头核查 / "
    "interrupted: an audit changes nothing; run verify again from the start"
)


def verify(
    since: Annotated[
        str,
        typer.Option(
            help="只判断此位置起的事件 / judge events from this log position on: 1200, or"
            " registration=1200,collection=900"
        ),
    ] = "0",
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """审计运行中的系统 / audit a running system: streams, replays, I-01..I-32, the outside's books.

    Ends with 1 when anything is violated, unaccounted or could not be compared.
    """
    first = since_of(since)
    report = run(lambda: _verify(data, port_base_of(data, port_base), first), INTERRUPTED)
    if as_json:
        show_json(report)
    else:
        show_audit(report)
    if not report.clean:
        raise typer.Exit(int(Exit.DIFFERENCE))


def since_of(text: str) -> Since:
    """``--since``: a position for all logs, or ``service=position`` with commas between."""
    if text.isdecimal():
        return int(text)
    found: dict[str, int] = {}
    for part in text.split(","):
        service, _, position = part.strip().partition("=")
        if service not in SERVICES or not position.isdecimal():
            fail(Exit.USAGE, f"--since {part.strip()!r}: 1200; registration=1200,collection=900")
        found[service] = int(position)
    return found


async def _verify(data: Path, port_base: int, since: Since) -> AuditReport:
    try:
        with stages() as told:
            return await verify_running(data, port_base, since, told)
    except NotRunningError:
        _unreachable(f"没有运行 / no system in {data}")
    except UnexpectedAnswerError as fault:
        _unreachable(str(fault))


def _unreachable(message: str) -> NoReturn:
    fail(Exit.UNREACHABLE, message)


def show_audit(report: AuditReport) -> None:
    """The audit for people: a table of invariants, then money."""
    table = Table("不变量 / invariant", "已查 / checked", "违反 / violations", "说明 / note")
    for each in report.invariants:
        note = each.not_applicable or ", ".join(each.details[:3])
        mark = "" if each.holds else " ✗"
        table.add_row(each.id + mark, str(each.checked), str(each.violations), note)
    out.print(table)
    for replay in report.projections:
        if replay.differences:
            line = f"{replay.service} {replay.projection}: {replay.differences}"
            out.print(f"重放不一致 / replay differs: {line}", markup=False)
    for difference in report.differences:
        line = f"{difference.book} {difference.cell}: {difference.outside_fen} ≠ {difference.placed_fen} fen"
        out.print(line, markup=False)
    for fault in report.faults:
        out.print(f"未能核对 / not compared: {fault}", markup=False)
    positions = ",".join(f"{service}={last}" for service, last in report.positions.items())
    out.print(f"日志终点 / ends of the logs   {positions}")
    out.print(f"比对记录 / records compared   {report.records_compared}")
    out.print(f"未解释金额 / unaccounted      {format_yuan(Fen(report.unaccounted_fen))} 元")
    out.print(f"未了差异 / open differences  {format_yuan(Fen(report.difference_fen))} 元")
    out.print("✓ 通过 / clean" if report.clean else "✗ 未通过 / not clean")
