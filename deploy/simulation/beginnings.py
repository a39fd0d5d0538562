"""States at rest that histories begin with: what is stored, in all databases, logs, the broker and the books.

Nothing that a process keeps in memory is part of one: whoever goes on from it is started there, as after the loss of
everything that ran. A state is copied for each history; nothing changes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.rehearsal.books import SCHEMA
from deploy.simulation.services import Image, SimulatedDatabase, Site
from shared.eventstore.memory import MemoryLog
from shared.kernel.clock import SeededRuntime
from shared.messaging.memory import MemoryBroker
from shared.web.service import ServiceDefinition


@dataclass(frozen=True)
class State:
    """What is stored at a moment when nothing is left to do. seconds: virtual, when that was; books: the
    outside's; persons: ids by name."""

    seconds: float
    images: Mapping[str, Image]
    logs: Mapping[str, MemoryLog]
    broker: MemoryBroker
    books: sqlite3.Connection
    persons: Mapping[str, str]

    @classmethod
    def empty(cls, broker: MemoryBroker) -> State:
        """Nothing has happened."""
        books = _connection()
        books.executescript(SCHEMA)
        return cls(0.0, {}, {}, broker, books, {})

    @classmethod
    def of(
        cls,
        seconds: float,
        sites: Mapping[str, Site],
        broker: MemoryBroker,
        books: sqlite3.Connection,
        persons: Mapping[str, str],
    ) -> State:
        """What is stored now."""
        images = {name: site.database.image() for name, site in sites.items()}
        logs = {name: site.log.copied(site.database) for name, site in sites.items()}
        return cls(seconds, images, logs, broker.copied(SeededRuntime(0)), _copy(books), dict(persons))

    def site(self, definition: ServiceDefinition, database: SimulatedDatabase) -> Site:
        """What of a service outlives its processes, as it was."""
        database.restore(self.images.get(definition.name, ()))
        site, log = Site(definition, database), self.logs.get(definition.name)
        if log is not None:
            site.log = log.copied(database)
        return site

    def opened_books(self) -> sqlite3.Connection:
        """The books as they were, for this history to write in."""
        return _copy(self.books)


def _connection() -> sqlite3.Connection:
    """As ``Books`` wants it."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.row_factory = sqlite3.Row
    return made


def _copy(books: sqlite3.Connection) -> sqlite3.Connection:
    made = _connection()
    books.backup(made)
    return made
