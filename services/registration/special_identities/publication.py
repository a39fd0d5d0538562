"""Imports and identities as contract messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.special_identities import events as e
from shared.contracts import registration as r
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class SpecialIdentityPublication:
    """导入成功、导入失败、特殊群体身份."""

    name = "special-identities"
    handles: tuple[type[Event], ...] = e.EVENTS

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per event."""
        event = recorded.event
        match event:
            case e.SubsidyBeneficiaryImported():
                return [
                    r.SubsidyBeneficiaryImportedV1(
                        person_id=event.person_id,
                        list_id=event.list_id,
                        line_no=event.line_no,
                        category=event.category,
                        insurance=event.insurance,
                        year=event.year,
                        birth=event.birth,
                        division=event.division,
                    )
                ]
            case e.SubsidyImportFailed():
                return [
                    r.SubsidyImportFailedV1(
                        person_id=event.person_id,
                        list_id=event.list_id,
                        line_no=event.line_no,
                        category=event.category,
                        insurance=event.insurance,
                        year=event.year,
                        error=event.error,
                    )
                ]
            case e.SpecialIdentityMarked():
                return [
                    r.SpecialIdentityMarkedV1(
                        person_id=event.person_id,
                        category=event.category,
                        source_department=event.source_department,
                        valid_from=event.valid_from,
                        valid_to=event.valid_to,
                        insurance=event.insurance,
                        year=event.year,
                    )
                ]
            case _:
                return [
                    r.SpecialIdentityRemovedV1(
                        person_id=event.person_id,
                        category=event.category,
                        source_department=event.source_department,
                        from_date=event.from_date,
                        insurance=event.insurance,
                        year=event.year,
                    )
                ]
