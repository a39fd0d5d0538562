"""``lag``, ``dead-letters``, ``replay``, ``relay``, ``trace``, ``token``, ``clock``: operators' and developers' tools.

All of them speak HTTP to a running system; none touches a database.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from deploy.cli.output import Exit, Json, fail, out, run, show_json
from deploy.cli.system import Data, PortBase
from deploy.local import maintenance
from deploy.local.layout import DEFAULT_DATA, DEFAULT_PORT_BASE, Layout, read_state
from deploy.local.programs import organisations_file
from deploy.rehearsal.clients import SERVICES, Reply, Services, UnexpectedAnswerError

letters_app = typer.Typer(no_args_is_help=True, help="死信 / dead letters")
relay_app = typer.Typer(no_args_is_help=True, help="消息转发 / the relay")
clock_app = typer.Typer(no_args_is_help=True, help="模拟时钟（开发）/ the simulated clock (development)")

OPERATOR = "ops"
PATIENCE_SECONDS = 3.0
TRACE_PAGE = 1000


class Service(StrEnum):
    """Which of the four services."""

    REGISTRATION = "registration"
    COLLECTION = "collection"
    SUBSIDY = "subsidy"
    NOTIFICATION = "notification"


ServiceOption = Annotated[Service, typer.Option(help="服务 / service")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="只看结果，不改变 / show what would happen")]


def port_base_of(data: Path, given: int) -> int:
    """The port base the running system was started with, unless another one is asked for."""
    state = read_state(Layout(data))
    return state.port_base if state is not None and given == DEFAULT_PORT_BASE else given


@asynccontextmanager
async def services_at(data: Path, port_base: int) -> AsyncIterator[Services]:
    """The services of this machine, asked once: an operator's tool does not wait for a restart."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        yield Services.on(
            port_base_of(data, port_base), organisations_file(), http, patience_seconds=PATIENCE_SECONDS
        )


def _refused(fault: UnexpectedAnswerError) -> None:
    code = Exit.UNREACHABLE if fault.status == 0 else Exit.DIFFERENCE
    fail(code, str(fault))


async def _get(data: Path, port_base: int, service: str, path: str, **query: str | int) -> Any:
    async with services_at(data, port_base) as services:
        try:
            return await services.get(OPERATOR, service, path, **query)
        except UnexpectedAnswerError as fault:
            _refused(fault)


async def _post(data: Path, port_base: int, service: str, path: str, body: Any) -> Reply:
    async with services_at(data, port_base) as services:
        try:
            return await services.post(OPERATOR, service, path, body)
        except UnexpectedAnswerError as fault:
            _refused(fault)
            raise


def lag(data: Data = DEFAULT_DATA, port_base: PortBase = DEFAULT_PORT_BASE, as_json: Json = False) -> None:
    """各服务积压 / how far every reader, relay and topic is behind."""

    async def ask() -> list[Any]:
        return [await _get(data, port_base, name, "/ops/lag") for name in SERVICES]

    reports = run(ask)
    if as_json:
        show_json({"services": reports})
        return
    table = Table(
        "服务 / service",
        "日志 / log",
        "转发 / relay",
        "最慢读者 / slowest",
        "未收消息",
        "死信",
        "停放",
        "已排空",
    )
    for report in reports:
        slowest = min(report["readers"].values(), default=report["log_position"])
        unread = sum(topic["messages"] for topic in report["topics"])
        row = (
            report["service"],
            report["log_position"],
            report["relay_position"],
            slowest,
            unread,
            report["dead_letters"],
            report["parked"],
            "✓" if report["drained"] else "✗",
        )
        table.add_row(*map(str, row))
    out.print(table)


@letters_app.command("list")
def list_letters(
    service: ServiceOption,
    state: Annotated[str, typer.Option(help="open | replayed | discarded")] = "open",
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """列出死信 / list dead letters."""
    found = run(lambda: _get(data, port_base, service.value, "/ops/dead-letters", state=state, limit=1000))
    if as_json:
        show_json(found)
        return
    table = Table("编号 / id", "来源 / name", "键 / key", "位置 / position", "原因 / code", "状态 / state")
    for letter in found["items"]:
        table.add_row(*(str(letter[name]) for name in ("id", "name", "key", "position", "code", "state")))
    out.print(table)


@letters_app.command("show")
def show_letter(
    letter: str,
    service: ServiceOption,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """查看一封死信 / one dead letter with its payload."""
    show_json(run(lambda: _get(data, port_base, service.value, f"/ops/dead-letters/{letter}")))


@letters_app.command("fix")
def fix_letter(
    letter: str,
    payload: Annotated[Path, typer.Argument(help="更正后的 JSON 文件 / a file with the corrected JSON")],
    service: ServiceOption,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """更正死信内容 / give a dead letter a corrected payload; replay uses it."""
    try:
        body = json.loads(payload.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        fail(Exit.USAGE, f"不是 JSON 文件 / not a JSON file: {type(fault).__name__}")
    path = f"/ops/dead-letters/{letter}:fix"
    show_json(run(lambda: _post(data, port_base, service.value, path, body)).body)


@letters_app.command("replay")
def replay_letter(
    letter: str,
    service: ServiceOption,
    dry_run: DryRun = False,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """重放死信 / replay a dead letter and what parks behind it."""
    path = f"/ops/dead-letters/{letter}:replay" + ("?dry_run=true" if dry_run else "")
    show_json(run(lambda: _post(data, port_base, service.value, path, None)).body)


@letters_app.command("discard")
def discard_letter(
    letter: str,
    service: ServiceOption,
    dry_run: DryRun = False,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """放弃死信 / discard a dead letter; what parks behind it goes on."""
    if dry_run:
        show_json(run(lambda: _get(data, port_base, service.value, f"/ops/dead-letters/{letter}")))
        return
    path = f"/ops/dead-letters/{letter}:discard"
    show_json(run(lambda: _post(data, port_base, service.value, path, None)).body)


def replay(
    service: ServiceOption,
    projection: Annotated[str, typer.Option(help="读模型名称 / name of the projection")],
    swap: Annotated[
        bool, typer.Option("--swap/--check", help="替换 / swap in, or only compare (default)")
    ] = False,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """从日志重建读模型并比较 / rebuild a projection from the log; ends with 1 when rows differ."""
    path = f"/ops/projections/{projection}:replay"
    report = run(lambda: _post(data, port_base, service.value, path, {"swap": swap})).body
    if as_json:
        show_json(report)
    else:
        out.print(report)
    if report["differences"]:
        raise typer.Exit(int(Exit.DIFFERENCE))


@relay_app.command("resend")
def resend(
    service: ServiceOption,
    start: Annotated[int, typer.Option("--from", min=1, help="起始位置 / first log position")],
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """重新发布已发布的消息 / publish again from a position; consumers skip what they had."""
    show_json(run(lambda: _post(data, port_base, service.value, "/ops/relay:resend", {"from": start})).body)


@relay_app.command("raise-epoch")
def raise_epoch(service: ServiceOption, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """恢复备份后开始新纪元 / begin a new epoch after a restore, with the service stopped."""
    epoch = run(lambda: maintenance.begin_epoch(data, service.value))
    if as_json:
        show_json({"service": service.value, "epoch": epoch})
    else:
        out.print(f"{service.value}: epoch {epoch}")


@relay_app.command("reset-offset")
def reset_offset(
    service: ServiceOption,
    topic: Annotated[str, typer.Option(help="主题 / topic")],
    part: Annotated[int, typer.Option(min=0, help="分区 / partition")],
    offset: Annotated[int, typer.Option(min=0, help="下一个偏移 / next offset to read")],
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """设定消费者继续的位置 / where a service's consumer goes on, after the broker lost data."""
    run(lambda: maintenance.go_on_at(data, service.value, topic, part, offset))
    if as_json:
        show_json({"service": service.value, "topic": topic, "partition": part, "next_offset": offset})
    else:
        out.print(f"{service.value} {topic}/{part}: {offset}")


def trace(
    person: str, data: Data = DEFAULT_DATA, port_base: PortBase = DEFAULT_PORT_BASE, as_json: Json = False
) -> None:
    """一个人在四个服务中的事件链 / one person's published facts across the services, with correlation ids."""

    async def collect() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with services_at(data, port_base) as services:
            for name in SERVICES:
                after = 0
                while True:
                    page = await services.get(OPERATOR, name, "/events", after=after, limit=TRACE_PAGE)
                    found += [item for item in page["items"] if _concerns(item, person)]
                    if int(page["next"]) == after:
                        break
                    after = int(page["next"])
        return sorted(found, key=lambda item: (item["time"], item["source"], int(item["sequence"])))

    events = run(collect)
    if as_json:
        show_json({"person_id": person, "events": events})
        return
    table = Table("时间 / time", "来源 / source", "事件 / event", "关联号 / correlation", "起因 / causation")
    for item in events:
        table.add_row(
            item["time"],
            item["source"],
            item["type"],
            item.get("correlationid", ""),
            item.get("causationid", ""),
        )
    out.print(table)


def _concerns(item: dict[str, Any], person: str) -> bool:
    data = item.get("data", {})
    if data.get("person_id") == person:
        return True
    return any(line.get("person_id") == person for line in data.get("lines", ()) if isinstance(line, dict))


def token(
    organisation: Annotated[str, typer.Option(help="机构 / organisation (client id)")],
    scope: Annotated[
        list[str] | None, typer.Option(help="权限，可重复 / scope, repeatable; default all")
    ] = None,
    service: ServiceOption = Service.COLLECTION,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """签发开发令牌 / a development token; it is good at all four services."""

    async def ask() -> dict[str, Any]:
        async with services_at(data, port_base) as services:
            try:
                return await services.grant(organisation, service.value, " ".join(scope or ()))
            except KeyError:
                fail(Exit.USAGE, "没有此机构 / no such organisation")

    granted = run(ask)
    if as_json:
        show_json(granted)
    else:
        print(granted["access_token"])


@clock_app.command("show")
def show_clock(
    data: Data = DEFAULT_DATA, port_base: PortBase = DEFAULT_PORT_BASE, as_json: Json = False
) -> None:
    """各服务的业务日 / the business day of each service."""

    async def ask() -> dict[str, str]:
        days: dict[str, str] = {}
        async with services_at(data, port_base) as services:
            for name in SERVICES:
                days[name] = (await services.get(OPERATOR, name, "/readyz"))["today"]
        return days

    days = run(ask)
    if as_json:
        show_json({"today": days})
    else:
        for name, day in days.items():
            out.print(f"{name:<14}{day}")


@clock_app.command("advance")
def advance_clock(
    to: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="到哪一天 / the day to begin")],
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    as_json: Json = False,
) -> None:
    """推进业务日 / begin every day up to a date, in all four services."""
    try:
        day = dt.date.fromisoformat(to)
    except ValueError:
        raise typer.BadParameter("YYYY-MM-DD", param_hint="--to") from None

    async def begin() -> None:
        for name in SERVICES:
            await _post(data, port_base, name, "/ops/begin-day", {"date": day.isoformat()})

    run(begin)
    if as_json:
        show_json({"today": day})
    else:
        out.print(f"{day}")
