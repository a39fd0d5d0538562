"""``up``, ``down``, ``status``: the whole system on one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from deploy.cli.output import Exit, Json, fail, out, run, show_json
from deploy.cli.progress import Stages, stages
from deploy.local import control
from deploy.local.archive import choose, chosen
from deploy.local.layout import (
    DEFAULT_DATA,
    DEFAULT_PORT_BASE,
    Broker,
    Layout,
    Options,
    State,
    parse_workers,
)
from deploy.local.postgres import PostgresServer
from deploy.local.processes import StartFailed
from deploy.local.supervisor import supervise

Data = Annotated[Path, typer.Option(help="数据目录 / data directory")]
BrokerOption = Annotated[Broker, typer.Option(help="消息平台 / message broker")]
STARTING_INTERRUPTED = (
    "已中断：进程仍在后台启动；用 status 查看，用 down 停止 / "
    "interrupted: it goes on starting in the background; see `status`, stop it with `down`"
)
PortBase = Annotated[int, typer.Option(help="起始端口 / first port; the services take four")]


def _workers(word: str) -> str:
    """One ``--workers``, looked at when it is read."""
    try:
        parse_workers([word])
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from None
    return word


Workers = Annotated[
    list[str] | None,
    typer.Option(
        "--workers",
        metavar="服务=N",
        parser=_workers,
        help="每服务的进程数，可重复，如 collection=2 / processes of a service that share its work; repeatable",
    ),
]


def up(
    broker: BrokerOption = Broker.EMBEDDED,
    data: Data = DEFAULT_DATA,
    port_base: PortBase = DEFAULT_PORT_BASE,
    ready_file: Annotated[
        Path | None, typer.Option(help="就绪后写此文件 / written when everything is ready")
    ] = None,
    attach: Annotated[bool, typer.Option("--attach", help="留在前台 / stay in the foreground")] = False,
    workers: Workers = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="归档目录，自此保存全部 WAL / keep base backups and all WAL there from now on, see `backup`",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """启动整个系统，就绪后返回 / start everything; returns when every /readyz is green."""
    if archive is not None:
        _archive(data, archive)
    options = Options(
        data=data,
        broker=broker,
        port_base=port_base,
        ready_file=ready_file,
        workers=parse_workers(workers or ()),
    )
    if attach:
        run(lambda: supervise(options))
        return
    try:
        state = run(lambda: _up(options), STARTING_INTERRUPTED)
    except StartFailed as fault:
        fail(Exit.UNREACHABLE, str(fault))
    _show(state, dict.fromkeys(state.addresses(), True), as_json)


def _archive(data: Path, folder: Path) -> None:
    """The server's archive is chosen when it starts: one that runs goes on with what it was started with."""
    if os.environ.get("LIANGXIAN_POSTGRES_URL"):
        fail(
            Exit.USAGE,
            "服务器由他人管理，用其自己的备份 / the server is someone else's: back it up by its own means",
        )
    before = chosen(data)
    if before is not None and before.folder == folder.resolve():
        return
    if control.supervisor_of(Layout(data)) is not None or PostgresServer(data).running() is not None:
        fail(
            Exit.USAGE, "系统在运行，先停止再换归档 / it runs: `liangxian down` first, then choose an archive"
        )
    choose(data, folder)


async def _up(options: Options) -> State:
    with stages() as told:
        told.stage("启动中 / starting")
        return await control.up(options, lambda ready, of: starting(told, ready, of))


def starting(told: Stages, ready: int, of: int) -> None:
    """So many of the processes answer."""
    told.stage("启动中 / starting", of)
    told.done(ready)


def down(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """停止系统 / stop the system; its data stays."""
    stopped = run(lambda: control.down(data))
    if as_json:
        show_json({"stopped": stopped})
    else:
        out.print("已停止 / stopped" if stopped else "没有运行 / nothing was running")


def status(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """系统状态 / who runs and who is ready. Ends with 3 when the system is down."""
    state, ready = run(lambda: control.status(data))
    if state is None:
        if as_json:
            show_json({"running": False})
        fail(Exit.UNREACHABLE, "没有运行 / not running")
    _show(state, ready, as_json)
    if not all(ready.values()):
        raise typer.Exit(int(Exit.UNREACHABLE))


def _show(state: State, ready: dict[str, bool], as_json: bool) -> None:
    if as_json:
        show_json(
            {"running": True, **msgspec.to_builtins(state), "endpoints": state.addresses(), "readyz": ready}
        )
        return
    table = Table("进程 / process", "地址 / address", "就绪 / ready", "重启 / restarts", "内存 / MiB")
    addresses = state.addresses()
    for name, program in state.programs.items():
        address = f"{addresses[name]}/docs" if name in addresses else ""
        mark = ("✓" if ready.get(name) else "✗") if name in addresses else ""
        table.add_row(name, address, mark, str(program.restarts), f"{program.peak_mib:.0f}")
    out.print(table)
