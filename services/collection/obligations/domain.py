"""The obligation's state: what one person owes for one insurance and year, and what was paid on it.

States are structs: every payment folds one, and a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from services.collection.obligations import events as e
from shared.kernel.events import Event
from shared.kernel.insurance import Leg, Payer


class Assessment(msgspec.Struct, frozen=True):
    """The current assessment version; amounts in fen."""

    assessment_id: str
    version: int
    campaign: str
    village: str
    birth: dt.date
    standard_fen: int
    legs: tuple[Leg, ...]
    matching_subsidy_fen: int
    category: str
    tier_yuan: int | None
    pack_id: str
    pack_version: int
    special_assessment_no: str
    valid_to: dt.date | None

    @property
    def personal_fen(self) -> int:
        """What the person himself pays: 0 when others carry all of it."""
        fen = 0
        for leg in self.legs:
            if leg.payer is Payer.PERSON:
                fen += leg.fen
        return fen


class PaidLine(msgspec.Struct, frozen=True):
    """A received line. standing: EFFECTIVE, DUPLICATE, AFTER_DEATH, OUT_OF_WINDOW, WRONG_AMOUNT, REFUNDED."""

    line_id: str
    order_no: str
    channel: str
    fen: int
    paid_at: dt.datetime
    standing: str
    campaign: str = ""
    village: str = ""
    agent_id: str = ""
    receipt_serial: str = ""
    was_effective: bool = False


class Obligation(msgspec.Struct, frozen=True):
    """State of ``obligation:{year}:{insurance}:{person}``."""

    tier_yuan: int | None = None
    assessment: Assessment | None = None
    refused: str = ""
    hold_until: dt.date | None = None
    lines: dict[str, PaidLine] = {}
    vouchered_legs: frozenset[str] = frozenset()
    died_on: dt.date | None = None
    death_disputed: bool = False
    assessed_version: int = 0
    entitlement: e.EntitlementNoted | None = None
    special: e.SpecialAssessmentNoted | None = None

    @property
    def effective(self) -> PaidLine | None:
        """The one effective payment of the person's leg, if any."""
        for line in self.lines.values():
            if line.standing == "EFFECTIVE":
                return line
        return None


def evolve(state: Obligation, event: Event) -> Obligation:
    """Fold one event; events this aggregate does not know leave it unchanged."""
    fold = _FOLDS.get(type(event))
    return state if fold is None else fold(state, event)


def _assessed(state: Obligation, event: e.ContributionAssessed) -> Obligation:
    return replace(state, assessment=_assessment(event), assessed_version=event.version, refused="")


def _refused(state: Obligation, event: e.AssessmentRefused) -> Obligation:
    kept = state.assessment if state.effective is not None else None
    return replace(state, assessment=kept, refused=event.rule or event.code)


_FOLDS: dict[type[Event], Callable[[Obligation, Any], Obligation]] = {
    # What is owed, and what it is reckoned from.
    e.PensionTierSelected: lambda state, event: replace(state, tier_yuan=event.tier_yuan),
    e.EntitlementNoted: lambda state, event: replace(state, entitlement=event),
    e.SpecialAssessmentNoted: lambda state, event: replace(state, special=event),
    e.ContributionAssessed: _assessed,
    e.ContributionReassessed: _assessed,
    e.AssessmentRefused: _refused,
    e.BirthdayHoldFound: lambda state, event: replace(state, hold_until=event.birthday),
    e.PayerDeathNoted: lambda state, event: replace(
        state, died_on=event.died_on, death_disputed=event.disputed
    ),
    # What was paid, refunded and vouchered.
    e.PaymentReceived: lambda state, event: _with_line(state, event, "EFFECTIVE"),
    e.DuplicatePaymentDetected: lambda state, event: _with_line(state, event, "DUPLICATE"),
    e.PostDeathPaymentDetected: lambda state, event: _with_line(state, event, "AFTER_DEATH"),
    e.MisfitPaymentDetected: lambda state, event: _with_line(state, event, event.kind),
    e.PostDeathFindingWithdrawn: lambda state, event: _restand(state, event.line_id, "EFFECTIVE"),
    e.PaymentRefunded: lambda state, event: _restand(state, event.line_id, "REFUNDED"),
    e.GovernmentLegVouchered: lambda state, event: replace(
        state, vouchered_legs=state.vouchered_legs | {event.payer}
    ),
}
"""By the event's very class: a payment folds one state, and a chain of patterns would ask a dozen first."""


def _assessment(event: e.ContributionAssessed) -> Assessment:
    return Assessment(
        event.assessment_id,
        event.version,
        event.campaign,
        event.village,
        event.birth,
        event.standard_fen,
        event.legs,
        event.matching_subsidy_fen,
        event.category,
        event.tier_yuan,
        event.pack_id,
        event.pack_version,
        event.special_assessment_no,
        event.valid_to,
    )


_Line = e.PaymentReceived | e.DuplicatePaymentDetected | e.PostDeathPaymentDetected | e.MisfitPaymentDetected


def _with_line(state: Obligation, event: _Line, standing: str) -> Obligation:
    before = state.lines.get(event.line_id)
    line = PaidLine(
        line_id=event.line_id,
        order_no=event.order_no,
        channel=event.channel,
        fen=event.fen,
        paid_at=event.paid_at,
        standing=standing,
        campaign=event.campaign,
        village=event.village,
        agent_id=event.agent_id,
        receipt_serial=event.receipt_serial,
        was_effective=standing == "EFFECTIVE" or (before is not None and before.was_effective),
    )
    return replace(state, lines={**state.lines, event.line_id: line})


def _restand(state: Obligation, line_id: str, standing: str) -> Obligation:
    line = state.lines.get(line_id)
    if line is None:
        return state
    return replace(state, lines={**state.lines, line_id: replace(line, standing=standing)})
