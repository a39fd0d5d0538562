"""Bookkeeping as contract messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.accounts import events as e
from shared.contracts import registration as r
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class AccountsPublication:
    """记账、比对不一致、冲账、个人账户、政府补贴、回传确认."""

    name = "accounts"
    handles: tuple[type[Event], ...] = (
        e.BookkeepingMismatchDetected,
        e.BookkeepingReversed,
        e.PensionAccountCredited,
        e.GovernmentMatchingCredited,
        e.FamilyPlanningSubsidyCredited,
        e.FiscalHeadsCounted,
        e.ReturnPartBooked,
        e.CollectionInfoAcknowledged,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per event; a part that booked nothing posts nothing."""
        event = recorded.event
        match event:
            case e.ReturnPartBooked():
                return [_entries(event)] if event.booked else []
            case e.BookkeepingMismatchDetected():
                return [
                    r.BookkeepingMismatchDetectedV1(
                        person_id=event.person_id,
                        return_no=event.return_no,
                        line_no=event.line_no,
                        field=event.field,
                        ours_fen=event.ours_fen,
                        theirs_fen=event.theirs_fen,
                    )
                ]
            case e.BookkeepingReversed():
                return [
                    r.BookkeepingReversedV1(
                        person_id=event.person_id,
                        refund_no=event.refund_no,
                        insurance=event.insurance,
                        year=event.year,
                        fen=event.fen,
                    )
                ]
            case e.CollectionInfoAcknowledged():
                return [_acknowledged(event)]
            case e.FamilyPlanningSubsidyCredited():
                return [
                    r.FamilyPlanningSubsidyCreditedV1(
                        person_id=event.person_id,
                        year=event.year,
                        village=event.village,
                        fen=event.fen,
                        rule=event.rule,
                    )
                ]
            case e.FiscalHeadsCounted():
                return [
                    r.FiscalHeadsCountedV1(
                        campaign=event.campaign,
                        year=event.year,
                        kind=event.kind,
                        heads=event.heads,
                        fen=event.fen,
                        as_of=event.as_of,
                    )
                ]
            case _:
                return [_credited(event)]


def _entries(event: e.ReturnPartBooked) -> Message:
    return r.BookkeepingEntriesPostedV1(
        return_no=event.return_no,
        voucher_no=event.voucher_no,
        campaign=event.campaign,
        insurance=event.insurance,
        year=event.year,
        booked_on=event.booked_on,
        lines=tuple(
            r.PostedLine(line.person_id, line.village, line.payer, line.fen) for line in event.booked
        ),
    )


def _acknowledged(event: e.CollectionInfoAcknowledged) -> Message:
    return r.CollectionInfoAcknowledgedV1(
        voucher_no=event.voucher_no,
        return_no=event.return_no,
        booked_lines=event.booked_lines,
        booked_fen=event.booked_fen,
        refused=tuple(r.RefusedLine(line.line_no, line.person_id, line.error) for line in event.refused),
    )


def _credited(event: e.PensionAccountCredited | e.GovernmentMatchingCredited) -> Message:
    if isinstance(event, e.GovernmentMatchingCredited):
        return r.GovernmentMatchingCreditedV1(
            person_id=event.person_id,
            year=event.year,
            village=event.village,
            fen=event.fen,
            rule=event.rule,
        )
    return r.PensionAccountCreditedV1(
        person_id=event.person_id,
        year=event.year,
        village=event.village,
        fen=event.fen,
        credited_on=event.credited_on,
        interest_from=event.interest_from,
    )
