"""Counting what an invariant saw."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deploy.audit.evidence import Row

DETAILS = 20


class Invariant(msgspec.Struct, frozen=True, omit_defaults=False):
    """A row of the report. ``checked`` 0 counts as failed unless ``not_applicable`` cites why the pack lacks it.

    details: event ids, streams or numbers of the first violations; never personal data.
    """

    id: str
    checked: int
    violations: int
    details: tuple[str, ...] = ()
    not_applicable: str = ""

    @property
    def holds(self) -> bool:
        """True when it was checked and nothing violates it, or it does not apply."""
        return self.violations == 0 and (self.checked > 0 or self.not_applicable != "")


class Scope:
    """Which rows are judged: those from a position on; earlier ones are context, not subjects.

    first: the position in the log that is being heard.
    """

    def __init__(self, since: int | Mapping[str, int] = 0) -> None:
        self._since = since
        self.first = 0

    def enter(self, service: str) -> None:
        """From here on rows are those of this service's log."""
        self.first = self.since(service)

    def since(self, service: str) -> int:
        """The first position judged of a service's log."""
        return self._since if isinstance(self._since, int) else self._since.get(service, 0)

    @property
    def partial(self) -> str:
        """Why an invariant may have had nothing to check; empty when everything is judged."""
        if not self._since:
            return ""
        if isinstance(self._since, int):
            return f"nothing since position {self._since}"
        return "nothing since " + " ".join(f"{name}={first}" for name, first in sorted(self._since.items()))


class Tally:
    """Counts checks and keeps the first violations."""

    def __init__(self, invariant: str, scope: Scope) -> None:
        self._id = invariant
        self._scope = scope
        self._checked = 0
        self._violations = 0
        self._details: list[str] = []

    def judges(self, row: Row) -> bool:
        """True when the row is a subject; its verdict may have to wait for later rows."""
        return row.position >= self._scope.first

    def see(self, holds: bool, where: Row | str) -> None:
        """One check; ``where`` is the row judged, or names the event, stream or document."""
        if isinstance(where, Row):
            if where.position < self._scope.first:
                return
            where = "" if holds else str(where.event_id)
        self._checked += 1
        if not holds:
            self.violate(str(where))

    def count(self, checks: int) -> None:
        """Subjects whose verdict comes at the end, if it is a bad one."""
        self._checked += checks

    def violate(self, where: str) -> None:
        """A counted subject that does not hold."""
        self._violations += 1
        if len(self._details) < DETAILS:
            self._details.append(where)

    def result(self, not_applicable: str = "") -> Invariant:
        """What was seen. ``not_applicable`` only counts when nothing was checked."""
        clause = (not_applicable or self._scope.partial) if self._checked == 0 else ""
        return Invariant(self._id, self._checked, self._violations, tuple(self._details), clause)
