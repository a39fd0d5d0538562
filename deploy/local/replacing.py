"""A restored cluster takes the place of the one before it: whole or not at all, however it is interrupted.

It is made and recovered beside the installation's own. Once it is whole a note says so; from then on the renames
are done by whoever comes next, before that what is there of it is removed by whoever comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from pathlib import Path

import msgspec

from deploy.local.postgres import PostgresServer
from deploy.local.processes import write_atomically

ASIDE = "restored"
"""Folder of the server from which one service's database is copied."""
BESIDE = "cluster.restored"
_NOTE = "postgres.replaced"


class _Note(msgspec.Struct, frozen=True):
    """kept: where the cluster before goes; empty when there was none."""

    kept: str


def beside(data: Path) -> PostgresServer:
    """The installation's server on the cluster that is to replace its own; its WAL waits for the archive."""
    return PostgresServer(data, archiving=False, place=BESIDE)


def aside(data: Path) -> PostgresServer:
    """A server of its own, next to the installation's that runs."""
    return PostgresServer(data / ASIDE)


async def replace(data: Path) -> Path | None:
    """Put the stopped, whole cluster in the place of the installation's; where that lies now, if there was one."""
    cluster = PostgresServer(data).cluster
    kept = None
    if cluster.exists():
        numbers = itertools.count(1)
        kept = next(
            place
            for number in numbers
            if not (place := cluster.with_name(f"{cluster.name}.before-{number}")).exists()
        )
    write_atomically(data / _NOTE, msgspec.json.encode(_Note(str(kept or ""))).decode() + "\n")
    await settle(data)
    return kept


async def settle(data: Path) -> None:
    """End what an interrupted restore left: what is whole takes its place, anything else is removed.

    The system must be down; nothing to do, nothing is looked for twice.
    """
    new = beside(data)
    await new.stop()
    _take_place(new.cluster, PostgresServer(data).cluster, data / _NOTE)
    await asyncio.to_thread(new.remove)
    await discard_aside(data)


def _take_place(new: Path, cluster: Path, note: Path) -> None:
    """Each step is looked at before it is done: it may have been done before."""
    try:
        kept = msgspec.json.decode(note.read_bytes(), type=_Note).kept
    except FileNotFoundError:
        return
    if new.exists():
        if kept and not Path(kept).exists():
            cluster.rename(kept)
        new.rename(cluster)
    note.unlink()


async def discard_aside(data: Path) -> None:
    """Nothing is left of a recovery aside, nor does it run any more."""
    server = aside(data)
    if not server.directory.exists():
        return
    await server.stop()
    with contextlib.suppress(FileNotFoundError):
        await asyncio.to_thread(server.destroy)
        await asyncio.to_thread(shutil.rmtree, server.directory)
