"""Baseline: pyeventsourcing's ProjectionRunner on PostgreSQL, an event and a commit at a time."""

from __future__ import annotations

import time
from typing import Any

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, DomainEvent, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL
from sqlalchemy.engine import make_url


class Obligation(Aggregate):  # type: ignore[misc]
    """What somebody owes."""

    @event("Assessed")  # type: ignore[misc]
    def __init__(self, person: str, fen: int) -> None:
        self.person = person
        self.fen = fen


class Obligations(Application[Any]):  # type: ignore[misc]
    """Keeps obligations."""


class Sums(PostgresTrackingRecorder):  # type: ignore[misc]
    """A row per person, in the transaction of the tracking record."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS owed (person text PRIMARY KEY, fen bigint NOT NULL)")
        )

    def add(self, person: str, fen: int, tracking: Tracking) -> None:
        """One event applied."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute("INSERT INTO owed VALUES (%s, %s) ON CONFLICT DO NOTHING", (person, fen))


class SumsProjection(Projection[Sums]):  # type: ignore[misc]
    """Who owes what."""

    name = "sums"

    @singledispatchmethod
    def process_event(self, _: DomainEvent, tracking: Tracking) -> None:
        """Others are none of its business."""

    @process_event.register
    def _(self, found: Obligation.Assessed, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.add(found.person, found.fen, tracking)


def environment(url: str) -> dict[str, str]:
    """pyeventsourcing's settings of a database."""
    address = make_url(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(address.database),
        "POSTGRES_HOST": str(address.host),
        "POSTGRES_PORT": str(address.port),
        "POSTGRES_USER": str(address.username),
        "POSTGRES_PASSWORD": str(address.password),
    }


def fill(url: str, count: int) -> None:
    """A log of ``count`` events."""
    with Obligations(environment(url)) as application:
        for start in range(0, count, 500):
            application.save(
                *(Obligation(f"p{n:032d}", 26_000) for n in range(start, min(count, start + 500)))
            )


def projected(url: str, count: int, name: str) -> float:
    """Events per second of a new projection over the whole log."""
    kind = type(f"Sums{name}", (SumsProjection,), {"name": f"sums{name}"})
    started = time.perf_counter()
    with ProjectionRunner(
        application_class=Obligations, projection_class=kind, view_class=Sums, env=environment(url)
    ) as runner:
        runner.projection.view.wait(Obligations.name, count, timeout=120)
    return count / (time.perf_counter() - started)
