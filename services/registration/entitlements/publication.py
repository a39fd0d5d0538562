"""Granted cover as a contract message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.entitlements.events import MedicalEntitlementGranted
from shared.contracts.message import Message
from shared.contracts.registration import MedicalEntitlementGrantedV1
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class EntitlementsPublication:
    """医保待遇生效."""

    name = "entitlements"
    handles: tuple[type[Event], ...] = (MedicalEntitlementGranted,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per grant."""
        event: MedicalEntitlementGranted = recorded.event
        return [
            MedicalEntitlementGrantedV1(
                person_id=event.person_id,
                year=event.year,
                village=event.village,
                from_date=event.from_date,
                to_date=event.to_date,
                rule=event.rule,
            )
        ]
