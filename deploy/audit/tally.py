"""Counting what an invariant saw."""

from __future__ import annotations

import msgspec

from deploy.audit.evidence import Evidence, Row

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


class Tally:
    """Counts checks and keeps the first violations; rows before ``evidence.since`` are context, not subjects."""

    def __init__(self, invariant: str, evidence: Evidence) -> None:
        self._id = invariant
        self._since = evidence.since
        self._checked = 0
        self._violations = 0
        self._details: list[str] = []

    def see(self, holds: bool, where: Row | str) -> None:
        """One check; ``where`` is the row judged, or names the stream or document."""
        if isinstance(where, Row) and where.position < self._since:
            return
        self._checked += 1
        if not holds:
            self._violations += 1
            if len(self._details) < DETAILS:
                self._details.append(where.event_id if isinstance(where, Row) else where)

    def result(self, not_applicable: str = "") -> Invariant:
        """What was seen. ``not_applicable`` only counts when nothing was checked."""
        if self._since and not not_applicable:
            not_applicable = f"nothing since position {self._since}"
        clause = not_applicable if self._checked == 0 else ""
        return Invariant(self._id, self._checked, self._violations, tuple(self._details), clause)
