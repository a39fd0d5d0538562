"""A rehearsal inside the containers' network: ``docker compose --profile rehearsal run --rm rehearsal …``.

The rehearsal knows one machine with everything on 127.0.0.1. Here that machine is this container: each service's
port is forwarded to the container of its name, and the outside world runs beside the driver. The audit reads the
logs through the auditor's role of the mounted addresses.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from deploy.audit.running import verify_running
from deploy.audit.verify import AuditReport
from deploy.local.layout import DEFAULT_PORT_BASE, SERVICES, WORLD_OFFSET
from deploy.local.programs import organisations_file
from deploy.rehearsal.demo import DemoOptions, run_demo
from deploy.rehearsal.rendering import write_files
from deploy.rehearsal.report import Report

LOCAL = "127.0.0.1"
CHUNK = 1 << 16
STOP_SECONDS = 10.0


@asynccontextmanager
async def forwarded(port: int, host: str, to: int) -> AsyncIterator[None]:
    """Connections to a port of this container reach ``host:to``; ports 0 and up as the system allows."""

    async def both_ways(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(both_ways, LOCAL, port)
    try:
        yield
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one end closes; a broken connection is the caller's to notice."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@asynccontextmanager
async def outside_world(data: Path, port_base: int) -> AsyncIterator[None]:
    """The outside world (``python -m deploy.rehearsal``) as a process of this container."""
    (data / "world").mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ) | {
        "LIANGXIAN_REHEARSAL": "1",
        "LIANGXIAN_HOST": LOCAL,
        "LIANGXIAN_PORT": str(port_base + WORLD_OFFSET),
        "LIANGXIAN_PORT_BASE": str(port_base),
        "LIANGXIAN_DATA": str(data / "world"),
        "LIANGXIAN_ORGANISATIONS": str(organisations_file()),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "deploy.rehearsal", env=environment)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def rehearse(options: DemoOptions, keys: Path, out: Path) -> tuple[Report, AuditReport]:
    """The campaign and its audit, over the forwarded ports; the reports go to ``out``."""
    async with AsyncExitStack() as open_:
        for offset, name in enumerate(SERVICES):
            port = options.port_base + offset
            await open_.enter_async_context(forwarded(port, name, DEFAULT_PORT_BASE + offset))
        await open_.enter_async_context(outside_world(options.data, options.port_base))
        report = await run_demo(options)
        audited = await verify_running(keys, options.port_base)
        report.add_audit(
            {
                "invariants": [_row(msgspec.to_builtins(each)) for each in audited.invariants],
                "difference_fen": audited.difference_fen,
                "unaccounted_fen": audited.unaccounted_fen,
                "records_compared": audited.records_compared,
            },
            audited.event_types,
        )
        write_files(report, out, msgspec.to_builtins(audited))
        return report, audited


def _row(found: Mapping[str, object]) -> dict[str, object]:
    """An invariant of the report: what is empty is left out."""
    return {name: value for name, value in found.items() if value not in ("", [], None)}


def main(arguments: Sequence[str], keys: Path, data: Path) -> int:
    """Exit code 1 when anything is unaccounted, violated, or did not go as it must."""
    parser = argparse.ArgumentParser(prog="rehearsal", description="容器内演练 / a campaign in containers")
    parser.add_argument("--pack", default="ST-2020")
    parser.add_argument("--place", default="")
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--villages", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    options = DemoOptions(
        data=data,
        organisations=organisations_file(),
        pack=given.pack,
        place=given.place,
        scale=given.scale,
        villages=given.villages,
        seed=given.seed,
        broker=os.environ.get("LIANGXIAN_BROKER", "embedded"),
    )
    report, audited = asyncio.run(rehearse(options, keys, data / "out"))
    clean = report.clean and audited.clean
    print(
        json.dumps(
            {
                "clean": clean,
                "persons": report.document()["persons"],
                "seconds": report.seconds,
                "unaccounted_fen": audited.unaccounted_fen,
                "difference_fen": audited.difference_fen,
                "violations": sum(each.violations for each in audited.invariants),
                "out": str(data / "out"),
            },
            ensure_ascii=False,
        )
    )
    return 0 if clean else 1
