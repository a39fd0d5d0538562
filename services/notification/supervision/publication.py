"""Cases as published messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.notification.supervision import events as e
from shared.contracts.message import Message
from shared.contracts.notification import AuditCaseOpenedV1
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class CasePublication:
    """审计案件."""

    name = "cases"
    handles: tuple[type[Event], ...] = (e.AuditCaseOpened,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per case opened."""
        event: e.AuditCaseOpened = recorded.event
        return [
            AuditCaseOpenedV1(
                subject=event.subject,
                case_id=event.case_id,
                rule=event.rule,
                campaign=event.campaign,
                village=event.village,
                evidence=(recorded.event_id,),
            )
        ]
