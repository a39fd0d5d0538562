"""Funding's facts as published messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.subsidy.funding import events as e
from shared.contracts import subsidy as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class FundingPublication:
    """资助资金、政府代缴、退费审核."""

    name = "funding"
    handles: tuple[type[Event], ...] = tuple(
        event for event in e.EVENTS if event not in (e.RefundApprovalRequested, e.GovernmentLegReturned)
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per event."""
        event = recorded.event
        match event:
            case e.SubsidyFundApplied():
                return [_moved(event, "APPLIED", event.persons)]
            case e.SubsidyFundAppropriated():
                return [_moved(event, "APPROPRIATED", 0)]
            case e.SubsidyFundTransferred():
                return [_moved(event, "TRANSFERRED", 0)]
            case e.GovernmentPaymentSubmitted():
                return [
                    c.GovernmentPaymentSubmittedV1(
                        department=event.department,
                        payment_no=event.payment_no,
                        campaign=event.campaign,
                        insurance=event.insurance,
                        year=event.year,
                        part=event.part,
                        parts=event.parts,
                        lines=tuple(
                            c.GovernmentLine(line.person_id, line.village, line.payer, line.fen)
                            for line in event.lines
                        ),
                        total_count=event.total_count,
                        total_fen=event.total_fen,
                    )
                ]
            case e.RefundApproved():
                return [
                    c.RefundApprovedV1(person_id=event.person_id, refund_no=event.refund_no, fen=event.fen)
                ]
            case _:
                return []


def _moved(
    event: e.SubsidyFundApplied | e.SubsidyFundAppropriated | e.SubsidyFundTransferred,
    state: str,
    persons: int,
) -> c.SubsidyFundMovedV1:
    return c.SubsidyFundMovedV1(
        department=event.department,
        year=event.year,
        campaign=event.campaign,
        kind=event.kind,
        state=state,
        persons=persons,
        fen=event.fen,
    )
