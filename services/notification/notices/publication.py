"""Notices' facts as published messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.notification.notices import events as e
from shared.contracts import notification as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class NoticePublication:
    """清册公示与缴费公示."""

    name = "notices"
    handles: tuple[type[Event], ...] = tuple(
        event
        for event in e.EVENTS
        if event not in (e.ObjectionResolutionReceived, e.PriorYearPaymentsPublished, e.SubsidyListPublicised)
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per event."""
        event = recorded.event
        match event:
            case e.RosterNoticeStarted():
                return [
                    c.RosterNoticeStartedV1(
                        village=event.village,
                        campaign=event.campaign,
                        notice_id=event.notice_id,
                        roster_id=event.roster_id,
                        roster_version=event.roster_version,
                        from_date=event.from_date,
                        to_date=event.to_date,
                        days=event.days,
                    )
                ]
            case e.RosterNoticeClosed():
                return [
                    c.RosterNoticeClosedV1(
                        village=event.village,
                        campaign=event.campaign,
                        notice_id=event.notice_id,
                        roster_id=event.roster_id,
                        roster_version=event.roster_version,
                        closed_on=event.closed_on,
                    )
                ]
            case e.RosterObjectionRaised():
                return [
                    c.RosterObjectionRaisedV1(
                        village=event.village,
                        campaign=event.campaign,
                        objection_id=event.objection_id,
                        notice_id=event.notice_id,
                        roster_id=event.roster_id,
                        person_id=event.person_id,
                        insurance=event.insurance,
                        claim=event.claim,
                    )
                ]
            case e.PaymentNoticeStarted():
                return [
                    c.PaymentNoticeStartedV1(
                        village=event.village,
                        campaign=event.campaign,
                        notice_id=event.notice_id,
                        kind=event.kind,
                        from_date=event.from_date,
                        to_date=event.to_date,
                        days=event.days,
                    )
                ]
            case e.PaymentNoticeClosed():
                return [
                    c.PaymentNoticeClosedV1(
                        village=event.village,
                        campaign=event.campaign,
                        notice_id=event.notice_id,
                        kind=event.kind,
                        closed_on=event.closed_on,
                    )
                ]
            case e.PaymentObjectionRaised():
                return [
                    c.PaymentObjectionRaisedV1(
                        village=event.village,
                        campaign=event.campaign,
                        objection_id=event.objection_id,
                        notice_id=event.notice_id,
                        kind=event.kind,
                        person_id=event.person_id,
                        insurance=event.insurance,
                        issue=event.issue,
                    )
                ]
            case _:
                return []
