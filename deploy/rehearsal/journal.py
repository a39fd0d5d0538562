"""The driver's journal: which steps are done, and what was decided before acting on it.

A step's answer is written after everything it caused has come to rest; a note is written before it is acted
on. A driver that was killed goes on behind the last step, and what it repeats is the same request.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any


class OtherRunError(Exception):
    """The directory holds the journal of a run with other options."""


class Journal:
    """One SQLite file beside the data; in memory when there is no path."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path if path is not None else ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(
            "CREATE TABLE IF NOT EXISTS step (name TEXT PRIMARY KEY, answer TEXT NOT NULL, seconds REAL NOT NULL);"
            "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
            "CREATE TABLE IF NOT EXISTS person (ordinal INTEGER PRIMARY KEY, person_id TEXT NOT NULL);"
            "CREATE TABLE IF NOT EXISTS driver (number INTEGER PRIMARY KEY, cpu REAL NOT NULL);"
        )
        self._driver: int | None = None
        self._used = time.process_time()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def open_run(self, options: dict[str, Any]) -> bool:
        """Bind the journal to a run's options; True when the run goes on. Raises OtherRunError."""
        known = self.note("run")
        if known is None:
            self.write("run", options)
            return False
        if known != options:
            raise OtherRunError
        return True

    def done(self, name: str) -> bool:
        """True when the step is behind us."""
        return self._db.execute("SELECT 1 FROM step WHERE name = ?", (name,)).fetchone() is not None

    def steps(self) -> list[str]:
        """Names of the steps behind us, in their order."""
        return [str(name) for (name,) in self._db.execute("SELECT name FROM step ORDER BY rowid")]

    def answer(self, name: str) -> Any:
        """What a step answered; None when it is not done."""
        row = self._db.execute("SELECT answer FROM step WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def finish(self, name: str, answer: Any, seconds: float = 0.0) -> None:
        """The step is done and everything it caused is at rest; seconds: how long that took."""
        row = (name, json.dumps(answer), round(seconds, 3))
        self._db.execute("INSERT OR IGNORE INTO step VALUES (?, ?, ?)", row)
        self._note_cpu()

    def _note_cpu(self) -> None:
        """What this driver has used since it opened the journal, so that it counts if it is killed."""
        used = time.process_time() - self._used
        if self._driver is None:
            self._driver = self._db.execute("INSERT INTO driver (cpu) VALUES (?)", (used,)).lastrowid
        else:
            self._db.execute("UPDATE driver SET cpu = ? WHERE number = ?", (used, self._driver))

    def cpu_seconds(self) -> float:
        """CPU seconds of this driver and of those that were killed before it, each until its last step."""
        self._note_cpu()
        return float(self._db.execute("SELECT SUM(cpu) FROM driver").fetchone()[0])

    def seconds(self) -> float:
        """Seconds of all steps, of this driver and of those that were killed before it."""
        return float(self._db.execute("SELECT COALESCE(SUM(seconds), 0) FROM step").fetchone()[0])

    def note(self, name: str) -> Any:
        """A note, or None."""
        row = self._db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def write(self, name: str, value: Any) -> None:
        """Keep a note; the first one under a name stays."""
        self._db.execute("INSERT OR IGNORE INTO note VALUES (?, ?)", (name, json.dumps(value)))

    async def decided(self, name: str, decide: Callable[[], Awaitable[Any]]) -> Any:
        """A note, decided now when it is not there: repetitions act on the same decision."""
        known = self.note(name)
        if known is None:
            self.write(name, await decide())
            known = self.note(name)
        return known

    def add_persons(self, persons: Iterable[tuple[int, str]]) -> None:
        """Who residents are to the services: (ordinal, person id), in one transaction."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO person VALUES (?, ?)", persons)
        self._db.execute("COMMIT")

    def person(self, ordinal: int) -> str:
        """Who a resident is to the services. Raises KeyError before registration."""
        row = self._db.execute("SELECT person_id FROM person WHERE ordinal = ?", (ordinal,)).fetchone()
        if row is None:
            raise KeyError(ordinal)
        return str(row[0])

    def persons(self, first: int, last: int) -> dict[int, str]:
        """Person ids by ordinal, of a range."""
        found = self._db.execute(
            "SELECT ordinal, person_id FROM person WHERE ordinal BETWEEN ? AND ?", (first, last)
        )
        return dict(found.fetchall())
