"""Who pays for a person: claims of departments resolved to payer legs by the pack. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import msgspec

from services.subsidy.eligibility import events as e
from services.subsidy.eligibility.events import Claim
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import GOVERNMENT, Insurance, Leg
from shared.policy import Assessment, AssessmentRequest, Pack, assess


@dataclass(frozen=True, slots=True)
class Entitlement:
    """State of ``subsidy-entitlement:{year}:{insurance}:{person}``.

    refused: rule by which all claims so far gave no relief.
    """

    claims: tuple[Claim, ...] = ()
    campaign: str = ""
    division: str = ""
    birth: dt.date | None = None
    version: int = 0
    resolved: e.SubsidyEntitlementResolved | None = None
    revoked: str = ""
    refused: str = ""

    @property
    def unanswered(self) -> bool:
        """Claims that came while a death stood: neither resolved nor refused, and nothing else ended them."""
        return bool(self.claims) and self.resolved is None and not self.refused and not self.revoked


@dataclass(frozen=True, slots=True)
class ReceiveClaim:
    """收到名单行."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    division: str
    birth: dt.date
    claim: Claim


@dataclass(frozen=True, slots=True)
class PaidTerms:
    """已缴不变: what collection says stands for a person who has paid."""

    standard_fen: int
    legs: tuple[Leg, ...]
    reason: str
    paid_on: dt.date


def evolve(state: Entitlement, event: Event) -> Entitlement:
    """Fold one event."""
    match event:
        case e.SubsidyClaimReceived():
            return replace(
                state,
                claims=(*state.claims, event.claim),
                campaign=event.campaign,
                division=event.division,
                birth=event.birth,
                refused="",
            )
        case e.SubsidyEntitlementResolved():
            return replace(state, resolved=event, version=event.version, revoked="")
        case e.SubsidyEntitlementRefused():
            return replace(state, refused=event.rule)
        case e.SubsidyEntitlementRevoked():
            return replace(state, resolved=None, version=event.version, revoked=event.reason)
        case _:
            return state


def receive_claim(state: Entitlement, command: ReceiveClaim, pack: Pack, died_on: dt.date | None) -> Decision:
    """Record the claim, surface an overlap, and resolve to one payer (I-11, I-12, D-27).

    The same line twice changes nothing. A second claim that leaves the payer as it was resolves nothing anew.
    While a death before the insured year stands the claim is only kept; ``restore`` answers it.
    """
    if command.claim in state.claims:
        return []
    received = e.SubsidyClaimReceived(
        person_id=command.person_id,
        insurance=command.insurance,
        year=command.year,
        campaign=command.campaign,
        division=command.division,
        birth=command.birth,
        claim=command.claim,
    )
    after = evolve(state, received)
    events: list[Event] = [received]
    if len({claim.department for claim in after.claims}) > 1:
        overlap = e.SubsidyOverlapDetected(
            person_id=command.person_id,
            insurance=command.insurance,
            year=command.year,
            claims=after.claims,
        )
        events.append(overlap)
    if died_on is None or died_on.year >= command.year:
        events += _resolve(after, command.person_id, command.insurance, command.year, pack)
    return events


def _resolve(state: Entitlement, person_id: str, insurance: Insurance, year: int, pack: Pack) -> list[Event]:
    """The claim that relieves most; ties go to the pack's order of categories, then of departments."""
    best: tuple[tuple[int, int, int], Claim, Assessment] | None = None
    refusal: Refusal | None = None
    for claim in state.claims:
        answer = _assessed(state, claim, insurance, pack)
        if answer.refusal is not None:
            refusal = refusal or answer.refusal
            continue
        rank = (answer.personal_fen, _category_rank(pack, claim), _department_rank(pack, claim))
        if best is None or rank < best[0]:
            best = (rank, claim, answer)
    if best is None:
        found = refusal or Refusal("NO_CLAIM")
        return [_refused(state, person_id, insurance, year, found.rule or found.code, found.clause)]
    _, claim, answer = best
    legs = tuple(Leg(leg.payer, leg.fen) for leg in answer.legs)
    government = sum(leg.fen for leg in legs if leg.payer in GOVERNMENT)
    if government == 0:
        return [_refused(state, person_id, insurance, year, "NO_RELIEF", "")]
    relief = next(leg for leg in answer.legs if leg.payer in GOVERNMENT)
    now = state.resolved
    if now is not None and (now.department, now.category, now.legs) == (
        claim.department,
        claim.category,
        legs,
    ):
        return []
    return [
        e.SubsidyEntitlementResolved(
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=state.campaign,
            division=state.division,
            version=state.version + 1,
            category=claim.category,
            department=claim.department,
            standard_fen=answer.standard_fen,
            legs=legs,
            government_fen=government,
            rule=relief.rule,
            clause=relief.clause,
            pack_id=pack.id,
            pack_version=pack.version,
        )
    ]


def _assessed(state: Entitlement, claim: Claim, insurance: Insurance, pack: Pack) -> Assessment:
    if state.birth is None:
        raise ValueError("a claim brings the birth date")
    return assess(
        pack,
        AssessmentRequest(
            insurance=insurance,
            birth=state.birth,
            paid_at=pack.window(insurance.value).start,
            categories=(claim.category,),
            listed=(claim.department,),
            tier_yuan=pack.tiers[0] if insurance is Insurance.PENSION else None,
        ),
    )


def _category_rank(pack: Pack, claim: Claim) -> int:
    codes = [category.code for category in pack.document.categories]
    return codes.index(claim.category)


def _department_rank(pack: Pack, claim: Claim) -> int:
    codes = [department.code for department in pack.document.departments]
    return codes.index(claim.department)


def _refused(
    state: Entitlement, person_id: str, insurance: Insurance, year: int, rule: str, clause: str
) -> e.SubsidyEntitlementRefused:
    return e.SubsidyEntitlementRefused(
        person_id=person_id,
        insurance=insurance,
        year=year,
        campaign=state.campaign,
        rule=rule,
        clause=clause,
    )


def revoke(
    state: Entitlement,
    person_id: str,
    insurance: Insurance,
    year: int,
    reason: str,
    from_date: dt.date,
    submitted: bool,
) -> Decision:
    """Revoke while the money is not on its way: a submitted leg stands, a refund would follow it."""
    if state.resolved is None or submitted:
        return []
    return [
        e.SubsidyEntitlementRevoked(
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=state.campaign,
            version=state.version + 1,
            reason=reason,
            from_date=from_date,
        )
    ]


def review(
    state: Entitlement,
    person_id: str,
    insurance: Insurance,
    year: int,
    pack: Pack,
    submitted: bool,
    today: dt.date,
    *,
    alive: bool = True,
) -> Decision:
    """The plan was revised (政策调整): what is not on its way is resolved again by the new version.

    So is a claim the plan had refused, be it for a parameter that is set now (D-14, D-21). alive: a dead person's
    claims stay as they are.
    """
    if state.resolved is None:
        if not (alive and state.claims) or state.revoked:
            return []
        again = _resolve(state, person_id, insurance, year, pack)
        return [event for event in again if not isinstance(event, e.SubsidyEntitlementRefused)]
    if submitted or state.resolved.pack_version >= pack.version:
        return []
    events = _resolve(state, person_id, insurance, year, pack)
    if not any(isinstance(event, e.SubsidyEntitlementRefused) for event in events):
        return events
    ended = revoke(state, person_id, insurance, year, "POLICY_REVISED", today, submitted)
    return ended if isinstance(ended, Refusal) else [*events, *ended]


def keep_paid_terms(state: Entitlement, terms: PaidTerms, submitted: bool) -> Decision:
    """The person paid: his legs stand. No government leg among them ends the entitlement (I-12, I-27)."""
    now = state.resolved
    if now is None or submitted or frozenset(now.legs) == frozenset(terms.legs):
        return []
    government = sum(leg.fen for leg in terms.legs if leg.payer in GOVERNMENT)
    if government == 0:
        return revoke(state, now.person_id, now.insurance, now.year, terms.reason, terms.paid_on, submitted)
    return [
        msgspec.structs.replace(
            now,
            version=state.version + 1,
            standard_fen=terms.standard_fen,
            legs=terms.legs,
            government_fen=government,
        )
    ]


def restore(state: Entitlement, person_id: str, insurance: Insurance, year: int, pack: Pack) -> Decision:
    """A wrong death report was withdrawn: what it revoked, and claims that came under it, are resolved
    (scenario 4d)."""
    if state.revoked != "DEATH" and not state.unanswered:
        return []
    return _resolve(state, person_id, insurance, year, pack)
