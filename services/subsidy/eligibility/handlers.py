"""Commands on entitlements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from services.subsidy.eligibility import domain
from services.subsidy.eligibility.queries import DeathFacts
from services.subsidy.eligibility.stream import entitlement
from shared.eventstore.commands import Accepted, Append, Command, FactSource, Loaded
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.kernel.insurance import Insurance
from shared.policy import Pack

Submitted = FactSource
"""True per (year, insurance, person) whose government leg stands in a government payment."""


def _accepted(stream: Stream[Any], decision: Decision) -> Accepted | Refusal:
    if isinstance(decision, Refusal):
        return decision
    return Accepted((Append(stream, decision),) if decision else ())


class Entitlements:
    """Builds the commands; reactions execute them."""

    def __init__(self, packs: Mapping[str, Pack], deaths: DeathFacts, submitted: Submitted) -> None:
        self._packs = packs
        self._deaths = deaths
        self._submitted = submitted

    def receive_claim(self, command: domain.ReceiveClaim, pack_id: str, metadata: Metadata) -> Command:
        """收到名单行、确定资格."""
        stream = entitlement(command.year, command.insurance, command.person_id)
        pack = self._packs[pack_id]

        def decide(loaded: Loaded) -> Accepted | Refusal:
            died_on = loaded.fact(self._deaths, command.person_id)
            return _accepted(stream, domain.receive_claim(loaded.state(stream), command, pack, died_on))

        facts = ((self._deaths, (command.person_id,)),)
        return Command("receive_claim", (stream,), decide, metadata, facts=facts)

    def revoke(
        self,
        person_id: str,
        insurance: Insurance,
        year: int,
        reason: str,
        from_date: dt.date,
        metadata: Metadata,
    ) -> Command:
        """取消资格."""
        stream = entitlement(year, insurance, person_id)
        leg = (year, insurance.value, person_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            submitted = loaded.fact(self._submitted, leg) is True
            state = loaded.state(stream)
            return _accepted(
                stream, domain.revoke(state, person_id, insurance, year, reason, from_date, submitted)
            )

        return Command("revoke_entitlement", (stream,), decide, metadata, facts=((self._submitted, (leg,)),))

    def restore(
        self, person_id: str, insurance: Insurance, year: int, pack_id: str, metadata: Metadata
    ) -> Command:
        """恢复资格."""
        stream = entitlement(year, insurance, person_id)
        pack = self._packs[pack_id]

        def decide(loaded: Loaded) -> Accepted | Refusal:
            return _accepted(stream, domain.restore(loaded.state(stream), person_id, insurance, year, pack))

        return Command("restore_entitlement", (stream,), decide, metadata)
