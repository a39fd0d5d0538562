"""Measure 7: projections rebuilt from the log, beside pyeventsourcing's ProjectionRunner.

Ours: collection's read model of obligations over the log of assessments, replayed from nothing; rows and checkpoint in
one transaction a page. Theirs: a row per event, each with its tracking record in a transaction, as it does it.
"""

from __future__ import annotations

import asyncio
import time

from services.collection.app import SERVICE, TYPES
from services.collection.obligations.projection import ObligationProjection
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.projections import ProjectionRunner
from shared.eventstore.rebuild import rebuild
from shared.kernel.clock import SystemRuntime
from shared.web.migrating import migrate_service
from tests.benchmarks.baselines import py_eventsourcing
from tests.benchmarks.rig.campaign import assess
from tests.benchmarks.rig.site import Site
from tests.benchmarks.rig.table import Measure, Table

EVENTS = 50_000
THEIRS = 2_000
ROUNDS = 3
OURS, PEER = "obligations replayed", "pyeventsourcing ProjectionRunner"
PACK = {"pack_id": "ST-2020", "pack_version": 1, "pack_digest": "d" * 64}


async def measure(site: Site, table: Table, events: int = EVENTS, rounds: int = ROUNDS) -> None:
    """Every round each in turn; medians. A first pass fills the read model, then each round replays it."""
    addresses = site.addresses["collection"]
    await migrate_service(SERVICE, addresses["migrate"], addresses["service"])
    await assess(site, 0, events, PACK)
    await site.postgres.create_database("bench_peer")
    peer = site.postgres.url("bench_peer")
    await asyncio.to_thread(py_eventsourcing.fill, peer, THEIRS)
    database = PostgresDatabase(addresses["service"])
    log = PostgresLog(database, TYPES)
    found = Measure(f"projections rebuilt from a log of {events:,} events", "events/s")
    try:
        projection = ObligationProjection()
        runner = ProjectionRunner(log=log, projections=[projection], runtime=SystemRuntime())
        while await runner.run_once():
            pass
        for number in range(rounds):
            rate = await asyncio.to_thread(py_eventsourcing.projected, peer, THEIRS, f"r{number}")
            found.add(PEER, rate)
            started = time.perf_counter()
            report = await rebuild(log, database, projection)
            found.add(OURS, events / (time.perf_counter() - started))
            if not report.equal:
                found.fault("the replayed read model differs from the one it replaces")
    finally:
        await database.close()
    found.ratio(OURS, PEER, 20.0)
    found.note("ours includes comparing the replayed read model with the old one and swapping it in")
    table.take(found)
