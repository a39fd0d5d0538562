"""The one command of refund verification."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.registration.refund_verification import domain
from services.registration.refund_verification.stream import verification
from services.registration.sources import Covers, Residents
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata, Stream


class RefundVerifications:
    """Builds the command that decides a refund."""

    def __init__(self, residents: Residents, covers: Covers) -> None:
        self._residents = residents
        self._covers = covers

    def verify_command(
        self, request: domain.RefundRequest, metadata: Metadata, key: IdempotencyKey
    ) -> Command:
        """Decide with deaths and cover as they stand in this transaction."""
        stream = verification(request.refund_no)

        def judge(loaded: Loaded) -> Accepted:
            resident = self._residents.of(loaded, request.person_id)
            cover = self._covers.of(loaded, request.year, request.person_id)
            circumstances = domain.Circumstances(
                resident is not None,
                resident.died_on if resident is not None else None,
                cover.from_date or dt.date(request.year, 1, 1),
            )
            events = domain.verify_refund(request, circumstances)
            return Accepted([Append(stream, events)])

        streams: list[Stream[Any]] = [
            stream,
            *self._residents.streams(request.person_id),
            self._covers.stream(request.year, request.person_id),
        ]
        return Command("verify_refund", streams, judge, metadata, key)
