"""Commands over special identities."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.registration.sources import Enrolments, Residents
from services.registration.special_identities import domain
from services.registration.special_identities.stream import failed_line, marks
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance


class SpecialIdentityImports:
    """Imports list lines and removes identities."""

    def __init__(self, store: Store, residents: Residents, enrolments: Enrolments) -> None:
        self._store = store
        self._residents = residents
        self._enrolments = enrolments

    def import_command(self, line: domain.ListLine, metadata: Metadata) -> Command:
        """Import a line or keep why not: every line gets exactly one answer."""
        stream, failures = marks(line.insurance, line.person_id), failed_line(line.list_id, line.line_no)

        def judge(loaded: Loaded) -> Accepted:
            state = loaded.state(stream)
            if (line.list_id, line.line_no) in state.lines or loaded.state(failures).error:
                return Accepted()
            resident = self._residents.of(loaded, line.person_id)
            enrolment = self._enrolments.of(loaded, line.insurance, line.person_id, line.year)
            error = domain.import_error(state, line, resident, enrolment)
            if error or resident is None:
                return Accepted([Append(failures, domain.fail_line(line, error))])
            return Accepted([Append(stream, domain.import_line(line, resident))])

        streams: list[Stream[Any]] = [
            stream,
            failures,
            *self._residents.streams(line.person_id),
            self._enrolments.stream(line.insurance, line.person_id),
        ]
        return Command("import_subsidy_line", streams, judge, metadata)

    async def remove(
        self,
        person_id: str,
        insurance: Insurance,
        year: int,
        category: str,
        department: str,
        from_date: dt.date,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """End an identity a department gave."""
        stream = marks(insurance, person_id)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            events = domain.remove_identity(
                loaded.state(stream), person_id, insurance, year, category, department, from_date
            )
            if isinstance(events, Refusal):
                return events
            return Accepted([Append(stream, events)], response={"category": category, "removed": True})

        return await self._store.execute(Command("remove_special_identity", [stream], judge, metadata, key))
