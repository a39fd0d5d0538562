"""What one person owes for one insurance and year, from everything known of him. Pure.

One question, asked again after every cause: linking, a tier, a relief, a special assessment, a campaign
opened, a pack revised. The answer is an event only when it differs from the one in force.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.obligations import events as e
from services.collection.obligations.domain import Assessment, Obligation, evolve
from services.collection.obligations.facts import CampaignFact, EnrolmentLink, OtherCover, TaxpayerFact
from shared import policy
from shared.kernel.clock import SHANGHAI
from shared.kernel.division import within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import GOVERNMENT, Insurance, Leg, Payer
from shared.policy.pack import Pack
from shared.policy.terms import AgeMode, ChannelKind


class SelectTier(msgspec.Struct, frozen=True, kw_only=True):
    """选择缴费档次 (I-13): whole yuan, as the plan prints it."""

    person_id: str
    year: int
    campaign: str
    tier_yuan: int


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """An entitlement subsidy resolved (资助资格确定), or revoked: then legs are empty."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    version: int
    category: str = ""
    department: str = ""
    standard_fen: int = 0
    legs: tuple[Leg, ...] = ()
    reason: str = ""


class SpecialAssessment(msgspec.Struct, frozen=True, kw_only=True):
    """A special payment registration assessed (特殊缴费核定, I-31)."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    assessment_no: str
    kind: str
    personal_fen: int
    fiscal_fen: int
    valid_to: dt.date
    tier_yuan: int | None = None


class Subject(msgspec.Struct, frozen=True):
    """Whose obligation is reckoned. person and campaign are None while not known here."""

    insurance: Insurance
    year: int
    person: TaxpayerFact | None
    campaign: CampaignFact | None
    today: dt.date


class _Known(msgspec.Struct, frozen=True):
    """A subject with everything that is needed to assess."""

    insurance: Insurance
    year: int
    person: TaxpayerFact
    link: EnrolmentLink
    campaign: CampaignFact
    pack: Pack


def assess_now(state: Obligation, subject: Subject, reason: str) -> list[Event]:
    """Events that bring the assessment up to date; none while paid, or while something is missing.

    A paid assessment keeps its version; a government leg that was vouchered counts as paid.
    """
    if state.effective is not None or state.vouchered_legs:
        return []
    person = subject.person
    link = person.link(subject.insurance, subject.year) if person is not None else None
    if person is None or link is None:
        return _cancelled(state, subject)
    campaign = subject.campaign
    if campaign is None or campaign.campaign != link.campaign or campaign.pack is None:
        return []
    known = _Known(subject.insurance, subject.year, person, link, campaign, campaign.pack)
    terms = _special_terms(state, known) or _terms(state, known)
    if terms is None:
        return []
    if isinstance(terms, Refusal):
        return _refused(state, known, terms) + _revised(state, known, terms)
    events: list[Event] = []
    if _differs(state.assessment, terms, known):
        events.append(_assessed(state, known, terms, reason))
        events += _revised(state, known, terms)
    return events + _birthday_hold(state, known, subject.today)


def _revised(state: Obligation, known: _Known, terms: _Terms | Refusal) -> list[Event]:
    """Names whoever owes another amount by a revised pack (D-06, scenario 14)."""
    before = state.assessment
    if before is None or before.pack_version >= known.pack.version:
        return []
    standard, personal, rule = 0, 0, ""
    if isinstance(terms, Refusal):
        rule = terms.rule or terms.code
    else:
        standard, personal = terms.standard_fen, personal_fen(terms.legs)
    if (before.standard_fen, before.personal_fen) == (standard, personal):
        return []
    return [
        e.RevisionDifferenceFound(
            person_id=known.person.person_id,
            insurance=known.insurance,
            year=known.year,
            campaign=known.link.campaign,
            village=known.link.village,
            pack_version=known.pack.version,
            previous_version=before.pack_version,
            before_standard_fen=before.standard_fen,
            before_personal_fen=before.personal_fen,
            after_standard_fen=standard,
            after_personal_fen=personal,
            rule=rule,
        )
    ]


def assess_linked(
    state: Obligation,
    person: TaxpayerFact | None,
    campaign: CampaignFact | None,
    insurance: Insurance,
    year: int,
    today: dt.date,
) -> list[Event]:
    """What is owed as soon as a person is linked or unlinked; nothing while no campaign is open."""
    return assess_now(state, Subject(insurance, year, person, campaign, today), "REGISTRATION")


def select_tier(state: Obligation, command: SelectTier, subject: Subject) -> Decision:
    """Choose a tier; refused at once when the pack refuses it (I-13), so the chooser learns why."""
    person = subject.person
    link = person.link(Insurance.PENSION, command.year) if person is not None else None
    if person is None or link is None or link.campaign != command.campaign:
        return Refusal(
            "INVALID_STATE",
            "NOT_LINKED",
            field="person_id",
            message="未关联参保登记 / not linked to this campaign",
        )
    if state.effective is not None:
        return Refusal(
            "ALREADY_PAID", "I-17", field="person_id", message="已缴费，档次不可更改 / paid: the tier stays"
        )
    selected = e.PensionTierSelected(
        person_id=command.person_id,
        year=command.year,
        campaign=command.campaign,
        village=link.village,
        tier_yuan=command.tier_yuan,
    )
    after = evolve(state, selected)
    campaign = subject.campaign
    if campaign is None or campaign.pack is None:
        return Refusal("NO_CAMPAIGN", field="campaign", message="没有这个征缴工作 / no such campaign is open")
    known = _Known(Insurance.PENSION, command.year, person, link, campaign, campaign.pack)
    chosen = _quote(known, _category(after), command.tier_yuan)
    if chosen.refusal is not None:
        return chosen.refusal
    events: list[Event] = [] if state.tier_yuan == command.tier_yuan else [selected]
    return events + assess_now(after, subject, "TIER")


def note_entitlement(state: Obligation, command: Entitlement, subject: Subject) -> list[Event]:
    """Keep the newest entitlement and reassess with it while unpaid; an older version changes nothing."""
    if state.entitlement is not None and command.version <= state.entitlement.entitlement_version:
        return []
    noted = e.EntitlementNoted(
        person_id=command.person_id,
        insurance=command.insurance,
        year=command.year,
        campaign=command.campaign,
        entitlement_version=command.version,
        category=command.category,
        department=command.department,
        standard_fen=command.standard_fen,
        legs=command.legs,
        reason=command.reason,
    )
    after = evolve(state, noted)
    return [noted, *_kept(after, command), *assess_now(after, subject, "SUBSIDY")]


def _kept(state: Obligation, command: Entitlement) -> list[Event]:
    """Who paid before the entitlement came, or came to differ, keeps his legs: subsidy is told (I-12, D-06)."""
    paid, assessment = state.effective, state.assessment
    if paid is None or assessment is None or state.vouchered_legs or not command.legs:
        return []
    if frozenset(assessment.legs) == frozenset(leg for leg in command.legs if leg.fen):
        return []
    return [
        e.PaidTermsKept(
            person_id=command.person_id,
            insurance=command.insurance,
            year=command.year,
            campaign=assessment.campaign,
            standard_fen=assessment.standard_fen,
            legs=assessment.legs,
            reason="PAID_BEFORE",
            paid_on=paid.paid_at.astimezone(SHANGHAI).date(),
        )
    ]


def note_special_assessment(state: Obligation, command: SpecialAssessment, subject: Subject) -> list[Event]:
    """Keep registration's special assessment and assess exactly its amount (I-31)."""
    if state.special is not None and state.special.assessment_no == command.assessment_no:
        return []
    noted = e.SpecialAssessmentNoted(
        person_id=command.person_id,
        insurance=command.insurance,
        year=command.year,
        campaign=command.campaign,
        assessment_no=command.assessment_no,
        kind=command.kind,
        personal_fen=command.personal_fen,
        fiscal_fen=command.fiscal_fen,
        valid_to=command.valid_to,
        tier_yuan=command.tier_yuan,
    )
    return [noted, *assess_now(evolve(state, noted), subject, "SPECIAL")]


class _Terms(msgspec.Struct, frozen=True):
    """What is owed: amounts in fen, legs summing to the standard."""

    standard_fen: int
    legs: tuple[Leg, ...]
    matching_fen: int = 0
    category: str = ""
    tier_yuan: int | None = None
    special_no: str = ""
    valid_to: dt.date | None = None
    rules: tuple[str, ...] = ()


def _special_terms(state: Obligation, known: _Known) -> _Terms | None:
    special = state.special
    if special is None:
        return None
    legs = (Leg(Payer.PERSON, special.personal_fen),)
    return _Terms(
        special.personal_fen,
        legs,
        tier_yuan=special.tier_yuan,
        special_no=special.assessment_no,
        valid_to=special.valid_to,
        rules=(f"SPECIAL_{special.kind}",),
    )


def _terms(state: Obligation, known: _Known) -> _Terms | Refusal | None:
    """Terms by the pack; None for a pension without a tier, which has no amount yet."""
    category = _category(state)
    tier = state.tier_yuan if known.insurance is Insurance.PENSION else None
    quote = _quote(known, category, tier)
    refusal = quote.refusal
    if refusal is not None and refusal.rule == "GOV_PAID_TOP_UP":
        # Whom the government pays gets its tier, whatever he chose before (D-54).
        quote = _quote(known, category, None)
        refusal = quote.refusal
    if refusal is not None:
        if refusal.rule == "TIER_REQUIRED":
            return refusal if state.assessment is not None else None
        return refusal
    lowest = not category and tier == known.pack.document.pension.lowest_tier.tier_yuan
    group = next(iter(_lowest_tier_groups(known)), "") if lowest else ""
    return _merged(state, known, quote, category or group)


def _merged(
    state: Obligation, known: _Known, quote: policy.Assessment, category: str
) -> _Terms | Refusal | None:
    """The pack's amounts with subsidy's legs, which must sum to the same standard (I-12)."""
    legs = tuple(Leg(Payer(leg.payer.value), int(leg.fen)) for leg in quote.legs)
    entitlement = state.entitlement
    if entitlement is not None and entitlement.legs:
        given = sum(leg.fen for leg in entitlement.legs)
        if _awaits_subsidy(state, known, quote, given):
            return None
        if given != quote.standard_fen or any(leg.fen < 0 for leg in entitlement.legs):
            return Refusal(
                "LEGS_MISMATCH",
                "I-12",
                "I-12",
                "legs",
                "分担合计不等于标准 / legs do not sum to the standard",
            )
        legs = entitlement.legs
    pension = known.insurance is Insurance.PENSION
    return _Terms(
        int(quote.standard_fen),
        tuple(leg for leg in legs if leg.fen),
        int(quote.matching_subsidy_fen),
        category,
        int(quote.standard_fen) // 100 if pension else None,
        rules=tuple(dict.fromkeys(found.rule for found in quote.explanation)),
    )


def _awaits_subsidy(state: Obligation, known: _Known, quote: policy.Assessment, given: int) -> bool:
    """A revised pack has another standard and subsidy has not resolved by it yet: the old amount holds."""
    before = state.assessment
    entitlement = state.entitlement
    if before is None or entitlement is None or before.pack_version >= known.pack.version:
        return False
    return given == entitlement.standard_fen != int(quote.standard_fen)


def _category(state: Obligation) -> str:
    entitlement = state.entitlement
    return entitlement.category if entitlement is not None and entitlement.legs else ""


def _quote(known: _Known, category: str, tier_yuan: int | None) -> policy.Assessment:
    """The pack's answer for someone who pays on the window's last day: assessments here are never late."""
    campaign, person, pack = known.campaign, known.person, known.pack
    window = pack.window(known.insurance)
    inside = within(person.hukou_division, pack.region.division)
    covered = {each.kind for each in person.covers if _covers(each, known)}
    lowest = tier_yuan is not None and tier_yuan == pack.document.pension.lowest_tier.tier_yuan
    categories = (category,) if category else _lowest_tier_groups(known) if lowest else ()
    request = policy.AssessmentRequest(
        insurance=policy.Insurance(known.insurance.value),
        birth=person.birth,
        paid_at=max(window.end, campaign.extended_to or window.end, person.birth),
        categories=categories,
        tier_yuan=tier_yuan,
        hukou=policy.Hukou.IN if inside else policy.Hukou.OUT,
        permit=person.residence_permit,
        student=person.student,
        employee_insured="EMPLOYEE" in covered,
        paid_elsewhere="ELSEWHERE" in covered,
        extended_to=campaign.extended_to,
    )
    return policy.assess(pack, request)


def _covers(cover: OtherCover, known: _Known) -> bool:
    """Cover of the same insurance on a day of the insured year (I-05, D-34)."""
    return cover.insurance is known.insurance and cover.overlaps(known.pack.year_start, known.pack.year_end)


def _lowest_tier_groups(known: _Known) -> tuple[str, ...]:
    """Identities that may choose the lowest tier and pay it themselves (001:L52, 004:L92).

    Whom the government pays for is subsidy's to say (I-31): his identity counts only once it is resolved.
    """
    pack, year = known.pack, known.year
    paid_for = set(pack.document.pension.gov_paid.categories)
    found = (
        pack.category(each.category)
        for each in known.person.identities
        if each.insurance is known.insurance and each.year == year
    )
    return tuple(
        sorted(
            {each.code for each in found if each is not None and not pack.identities(each.code) & paid_for}
        )
    )


def _differs(current: Assessment | None, terms: _Terms, known: _Known) -> bool:
    if current is None:
        return True
    before = (
        current.standard_fen, frozenset((leg.payer, leg.fen) for leg in current.legs),
        current.matching_subsidy_fen, current.category, current.tier_yuan, current.special_assessment_no,
        current.campaign, current.village, current.birth, current.pack_version,
    )  # fmt: skip
    after = (
        terms.standard_fen, frozenset((leg.payer, leg.fen) for leg in terms.legs), terms.matching_fen,
        terms.category, terms.tier_yuan, terms.special_no, known.link.campaign, known.link.village,
        known.person.birth, known.pack.version,
    )  # fmt: skip
    return before != after


def _assessed(state: Obligation, known: _Known, terms: _Terms, reason: str) -> Event:
    version = state.assessed_version + 1
    person_id, insurance = known.person.person_id, known.insurance
    fields: dict[str, Any] = {
        "assessment_id": f"{known.year}-{insurance.value}-{person_id}-{version}",
        "version": version,
        "person_id": person_id,
        "insurance": insurance,
        "year": known.year,
        "campaign": known.link.campaign,
        "village": known.link.village,
        "birth": known.person.birth,
        "standard_fen": terms.standard_fen,
        "legs": terms.legs,
        "matching_subsidy_fen": terms.matching_fen,
        "category": terms.category,
        "tier_yuan": terms.tier_yuan,
        "pack_id": known.pack.id,
        "pack_version": known.pack.version,
        "pack_digest": known.pack.digest,
        "special_assessment_no": terms.special_no,
        "valid_to": terms.valid_to,
        "rules": terms.rules,
    }
    if version == 1:
        return e.ContributionAssessed(**fields)
    return e.ContributionReassessed(**fields, reason=reason)


def _refused(state: Obligation, known: _Known, refusal: Refusal) -> list[Event]:
    if state.assessment is None and state.refused == (refusal.rule or refusal.code):
        return []
    return [
        e.AssessmentRefused(
            person_id=known.person.person_id,
            insurance=known.insurance,
            year=known.year,
            campaign=known.link.campaign,
            village=known.link.village,
            code=refusal.code,
            rule=refusal.rule,
            clause=refusal.clause,
        )
    ]


def _cancelled(state: Obligation, subject: Subject) -> list[Event]:
    """The enrolment is gone: what was assessed and is unpaid is owed no more."""
    assessment, person = state.assessment, subject.person
    if assessment is None or person is None:
        return []
    return [
        e.AssessmentRefused(
            person_id=person.person_id,
            insurance=subject.insurance,
            year=subject.year,
            campaign=assessment.campaign,
            village=assessment.village,
            code="ENROLMENT_CANCELLED",
            rule="ENROLMENT_CANCELLED",
        )
    ]


def _birthday_hold(state: Obligation, known: _Known, today: dt.date) -> list[Event]:
    """Whoever reaches an age band later in the year should wait before paying online (004:L203-207)."""
    pack = known.pack
    if known.insurance is not Insurance.MEDICAL or state.hold_until is not None:
        return []
    if pack.age_reference(ChannelKind.ONLINE).mode is not AgeMode.PAYMENT_DATE:
        return []
    birthday = _birthday(known.person.birth, pack.age_date.year)
    if not max(today, pack.window(known.insurance).start) < birthday <= pack.age_date:
        return []
    age = birthday.year - known.person.birth.year
    if all(relief.age_from != age for relief in pack.document.medical.relief):
        return []
    return [
        e.BirthdayHoldFound(
            person_id=known.person.person_id,
            insurance=known.insurance,
            year=known.year,
            campaign=known.link.campaign,
            village=known.link.village,
            birthday=birthday,
        )
    ]


def _birthday(birth: dt.date, year: int) -> dt.date:
    """Birthday in a year; someone born on 29 February has it on 1 March."""
    try:
        return birth.replace(year=year)
    except ValueError:
        return dt.date(year, 3, 1)


def personal_fen(legs: Sequence[Leg]) -> int:
    """What the person himself pays of the standard, in fen."""
    return sum(leg.fen for leg in legs if leg.payer is Payer.PERSON)


def government_fen(legs: Sequence[Leg]) -> int:
    """What government pays of the standard, in fen."""
    return sum(leg.fen for leg in legs if leg.payer in GOVERNMENT)
