"""``backup`` and ``restore``: base backups with all WAL since, and back to a moment of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from deploy.cli.operations import Service
from deploy.cli.output import Exit, Json, fail, out, run, show_json
from deploy.cli.system import Data
from deploy.local import restoring
from deploy.local.layout import DEFAULT_DATA
from deploy.local.processes import StartFailed
from deploy.local.restoring import ForgottenError, NotRestoredError, Restored

T = TypeVar("T")

INTERRUPTED = (
    "已中断：再运行一次即可 / interrupted: run the same command again; what was there before is not lost"
)


def backup(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """基础备份 / a base backup into the archive that `up --archive` chose, while everything runs.

    Ends with 2 when no archive was chosen, the system is down or its WAL is not archived.
    """
    base = _told(lambda: restoring.back_up(data))
    if as_json:
        show_json(base)
    else:
        out.print(f"{base.name}  {base.bytes / (1 << 20):.0f} MiB  ({base.ended.isoformat()})")


def restore(
    service: Annotated[
        Service | None, typer.Option(help="只恢复这一服务 / this service's database alone; default all")
    ] = None,
    at: Annotated[
        str,
        typer.Option(
            help="恢复到此刻，须含时区；缺省为归档末尾 / an ISO time with its zone; default the end"
        ),
    ] = "",
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="允许忘记已告知他人的事实 / may forget what others were told"),
    ] = False,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """从归档恢复 / back to a moment of the archive, the system being down; raises the epochs it must.

    Ends with 1 when one service would forget facts that others were told, with 2 when the archive has not what is
    wanted, with 3 when PostgreSQL does not come to its end; what was there before is in its place then.
    """
    if accept_loss and service is None:
        fail(Exit.USAGE, "--accept-loss 须与 --service 同用 / goes with --service: all four forget together")
    moment = _moment(at)
    if service is None:
        done = _told(lambda: restoring.restore_all(data, moment))
    else:
        name = service.value
        done = _told(lambda: restoring.restore_one(data, name, moment, accept_loss=accept_loss))
    if as_json:
        show_json(done)
    else:
        _show(done)


def _told(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do it, or end with why not."""
    try:
        return run(work, INTERRUPTED)
    except ForgottenError as fault:
        fail(Exit.DIFFERENCE, _said(fault))
    except NotRestoredError as fault:
        fail(Exit.USAGE, _said(fault))
    except (StartFailed, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        fail(Exit.UNREACHABLE, f"未完成 / not done: {_said(fault)}")


def _said(fault: Exception) -> str:
    """Its message and what was noted with it, such as where the data lies now."""
    return "\n".join([str(fault) or type(fault).__name__, *getattr(fault, "__notes__", ())])


def _moment(text: str) -> dt.datetime | None:
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        fail(Exit.USAGE, f"--at {text!r}: 2025-12-20T18:00:00+08:00")
    if moment.tzinfo is None:
        fail(Exit.USAGE, f"--at {text!r}: 缺时区 / without its zone, as in 2025-12-20T18:00:00+08:00")
    return moment


def _show(done: Restored) -> None:
    until = done.until.isoformat() if done.until is not None else "归档末尾 / the end of the archive"
    out.print(f"已恢复 / restored: {', '.join(done.services)} ({until}; base {done.base})", markup=False)
    for name, epoch in done.epochs.items():
        out.print(f"{name:<16}epoch {epoch}", markup=False)
    for name, count in done.lost.items():
        out.print(f"{name} 多知道 / has {count} positions that are lost here", markup=False)
    if done.kept:
        out.print(f"原数据保留于 / what was there before: {done.kept}", markup=False)
