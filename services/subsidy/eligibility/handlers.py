"""Commands on entitlements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from services.subsidy.eligibility import domain
from services.subsidy.eligibility.events import VillageEntitlementsDue
from services.subsidy.eligibility.queries import DeathFacts
from services.subsidy.eligibility.stream import entitlement, village_process
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

    def __init__(self, deaths: DeathFacts, submitted: Submitted) -> None:
        self._deaths = deaths
        self._submitted = submitted

    def receive_claim(self, command: domain.ReceiveClaim, pack: Pack, metadata: Metadata) -> Command:
        """收到名单行、确定资格."""
        stream = entitlement(command.year, command.insurance, command.person_id)

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

    def village_due(self, campaign: str, village: str, pack_version: int, metadata: Metadata) -> Command:
        """一村待复核."""
        stream = village_process(campaign, village, pack_version)

        def decide(loaded: Loaded) -> Accepted:
            if loaded.version(stream):
                return Accepted()
            due = VillageEntitlementsDue(campaign=campaign, village=village, pack_version=pack_version)
            return Accepted((Append(stream, [due]),))

        return Command("review_village", (stream,), decide, metadata)

    def review(
        self,
        person_id: str,
        insurance: Insurance,
        year: int,
        pack: Pack,
        today: dt.date,
        metadata: Metadata,
    ) -> Command:
        """按调整后的政策复核."""
        stream = entitlement(year, insurance, person_id)
        leg = (year, insurance.value, person_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            submitted = loaded.fact(self._submitted, leg) is True
            alive = loaded.fact(self._deaths, person_id) is None
            state = loaded.state(stream)
            return _accepted(
                stream,
                domain.review(state, person_id, insurance, year, pack, submitted, today, alive=alive),
            )

        facts = ((self._submitted, (leg,)), (self._deaths, (person_id,)))
        return Command("review_entitlement", (stream,), decide, metadata, facts=facts)

    def keep_paid_terms(
        self, person_id: str, insurance: Insurance, year: int, terms: domain.PaidTerms, metadata: Metadata
    ) -> Command:
        """已缴不变."""
        return self._unless_submitted(
            "keep_paid_terms",
            (year, insurance, person_id),
            lambda state, submitted: domain.keep_paid_terms(state, terms, submitted),
            metadata,
        )

    def _unless_submitted(
        self,
        operation: str,
        where: tuple[int, Insurance, str],
        decision: Callable[[domain.Entitlement, bool], Decision],
        metadata: Metadata,
    ) -> Command:
        year, insurance, person_id = where
        stream = entitlement(year, insurance, person_id)
        leg = (year, insurance.value, person_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            submitted = loaded.fact(self._submitted, leg) is True
            return _accepted(stream, decision(loaded.state(stream), submitted))

        return Command(operation, (stream,), decide, metadata, facts=((self._submitted, (leg,)),))

    def restore(
        self, person_id: str, insurance: Insurance, year: int, pack: Pack, metadata: Metadata
    ) -> Command:
        """恢复资格."""
        stream = entitlement(year, insurance, person_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            return _accepted(stream, domain.restore(loaded.state(stream), person_id, insurance, year, pack))

        return Command("restore_entitlement", (stream,), decide, metadata)
