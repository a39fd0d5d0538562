"""Lists as published messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.subsidy.lists import events as e
from shared.contracts import subsidy as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class ListPublication:
    """资助名单."""

    name = "lists"
    handles: tuple[type[Event], ...] = (
        e.SubsidyListSubmitted,
        e.SubsidyListVerified,
        e.SubsidyLinesReleased,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """A header, a verification, or up to 500 lines."""
        event = recorded.event
        match event:
            case e.SubsidyListSubmitted():
                return [
                    c.SubsidyListSubmittedV1(
                        list_id=event.list_id,
                        department=event.department,
                        category=event.category,
                        insurance=event.insurance,
                        year=event.year,
                        campaign=event.campaign,
                        stamped_total=event.stamped_total,
                        unmatched=event.unmatched,
                        late=event.late,
                    )
                ]
            case e.SubsidyListVerified():
                return [
                    c.SubsidyListVerifiedV1(
                        list_id=event.list_id, department=event.department, count=event.count
                    )
                ]
            case e.SubsidyLinesReleased():
                return [
                    c.SubsidyLineSubmittedV1(
                        person_id=line.person_id,
                        list_id=event.list_id,
                        line_no=line.line_no,
                        department=event.department,
                        category=event.category,
                        insurance=event.insurance,
                        year=event.year,
                        campaign=event.campaign,
                        valid_from=line.valid_from,
                    )
                    for line in event.lines
                ]
            case _:
                return []
