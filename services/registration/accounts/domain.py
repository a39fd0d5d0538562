"""Decisions of bookkeeping. Pure. Amounts in fen.

What is looked at and folded per line are structs: a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from services.registration.accounts import events as e
from services.registration.facts import Assessed, Booked, Insured, Resident
from services.registration.policies.domain import Policy
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.identity import full_years
from shared.kernel.insurance import GOVERNMENT, Insurance, Payer
from shared.kernel.money import yuan
from shared.policy import Pack
from shared.policy.terms import LateAmount

Leg = tuple[Insurance, str]
LineKey = tuple[str, int]


class Line(msgspec.Struct, frozen=True):
    """One returned payer leg, as collection sent it."""

    return_no: str
    line_no: int
    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    person_id: str
    payer: str
    fen: int
    standard_fen: int
    paid_on: dt.date
    treasury_date: dt.date
    payment_line_id: str = ""
    tier_yuan: int | None = None
    special_assessment_no: str = ""


class Knowledge(msgspec.Struct, frozen=True):
    """What the decision looks a line up against; None or a refusal where something is missing."""

    resident: Resident | None
    enrolment: Insured | None
    policy: Policy | Refusal
    assessed: Assessed | None


class Ledger(msgspec.Struct, frozen=True):
    """State of ``cover:{year}:{person}``: what is booked per insurance and payer, and every line seen.

    lines: error per (return, line), empty when it was booked.
    """

    booked: Mapping[Leg, e.BookkeepingPosted] = {}
    lines: Mapping[LineKey, str] = {}

    def sum_of(self, insurance: Insurance) -> int:
        """Fen booked for an insurance, all payers."""
        return sum(posted.fen for (kind, _), posted in self.booked.items() if kind is insurance)

    def legs_of(self, insurance: Insurance) -> Booked | None:
        """What is booked for an insurance, as siblings may know it; None when nothing is."""
        posted = {payer: event for (kind, payer), event in self.booked.items() if kind is insurance}
        if not posted:
            return None
        own = posted.get(Payer.PERSON.value)
        any_leg = own or next(iter(posted.values()))
        return Booked(
            {payer: event.fen for payer, event in posted.items()},
            max(event.standard_fen for event in posted.values()),
            own.paid_on if own is not None else None,
            any_leg.village,
            any_leg.special_assessment_no,
        )


class Account(msgspec.Struct, frozen=True):
    """State of ``account:{person}``: subsidies credited per year, in fen; spouses noted per year (计生家庭)."""

    matching: Mapping[int, int] = {}
    spouses: Mapping[int, e.FamilyPlanningSpouseNoted] = {}
    family_planning: Mapping[int, int] = {}
    reversed_refunds: frozenset[str] = frozenset()


class Return(msgspec.Struct, frozen=True):
    """State of ``process:return:{no}``."""

    parts: Mapping[int, e.ReturnPartBooked] = {}
    acknowledged: bool = False


def evolve(state: Ledger, event: Event) -> Ledger:
    """Fold one event; medical cover on the same stream leaves it unchanged."""
    match event:
        case e.BookkeepingPosted():
            return Ledger(
                {**state.booked, (event.insurance, event.payer): event},
                {**state.lines, (event.return_no, event.line_no): ""},
            )
        case e.BookkeepingMismatchDetected():
            return replace(
                state, lines={**state.lines, (event.return_no, event.line_no): event.field.upper()}
            )
        case e.BookkeepingReversed():
            gone = (event.insurance, event.payer)
            return replace(state, booked={leg: posted for leg, posted in state.booked.items() if leg != gone})
        case _:
            return state


def evolve_account(state: Account, event: Event) -> Account:
    """Fold one event."""
    match event:
        case e.GovernmentMatchingCredited():
            return replace(state, matching={**state.matching, event.year: event.fen})
        case e.FamilyPlanningSpouseNoted():
            return replace(state, spouses={**state.spouses, event.year: event})
        case e.FamilyPlanningSubsidyCredited():
            return replace(state, family_planning={**state.family_planning, event.year: event.fen})
        case e.PensionCreditReversed():
            kept = {year: fen for year, fen in state.matching.items() if year != event.year}
            family = {year: fen for year, fen in state.family_planning.items() if year != event.year}
            refunds = state.reversed_refunds | {event.refund_no}
            return replace(state, matching=kept, family_planning=family, reversed_refunds=refunds)
        case _:
            return state


def evolve_return(state: Return, event: Event) -> Return:
    """Fold one event."""
    match event:
        case e.ReturnPartBooked():
            return replace(state, parts={**state.parts, event.part: event})
        case e.CollectionInfoAcknowledged():
            return replace(state, acknowledged=True)
        case _:
            return state


def book_line(state: Ledger, line: Line, known: Knowledge, today: dt.date) -> list[Event]:
    """Book a line, or name the mismatch; a line seen before gives nothing (I-23, I-24)."""
    if (line.return_no, line.line_no) in state.lines:
        return []
    found = _mismatch(state, line, known)
    if found is not None:
        field_name, ours = found
        return [
            e.BookkeepingMismatchDetected(
                person_id=line.person_id,
                return_no=line.return_no,
                line_no=line.line_no,
                campaign=line.campaign,
                village=line.village,
                insurance=line.insurance,
                year=line.year,
                field=field_name,
                ours_fen=ours,
                theirs_fen=line.fen,
            )
        ]
    return [
        e.BookkeepingPosted(
            person_id=line.person_id,
            return_no=line.return_no,
            line_no=line.line_no,
            voucher_no=line.voucher_no,
            campaign=line.campaign,
            village=line.village,
            insurance=line.insurance,
            year=line.year,
            payer=line.payer,
            fen=line.fen,
            standard_fen=line.standard_fen,
            paid_on=line.paid_on,
            booked_on=today,
            payment_line_id=line.payment_line_id,
            tier_yuan=line.tier_yuan,
            special_assessment_no=line.special_assessment_no,
        )
    ]


def credit_account(
    account: Account, before: Ledger, line: Line, pack: Pack, credited_on: dt.date
) -> list[Event]:
    """Credit a booked pension leg, and the matching subsidy when it completes the tier (I-26, D-16)."""
    events: list[Event] = [
        e.PensionAccountCredited(
            person_id=line.person_id,
            year=line.year,
            village=line.village,
            fen=line.fen,
            credited_on=credited_on,
            interest_from=first_of_next_month(credited_on),
            return_no=line.return_no,
            payer=line.payer,
        )
    ]
    complete = before.sum_of(Insurance.PENSION) + line.fen == line.standard_fen
    if not complete or line.tier_yuan is None or line.special_assessment_no:
        return events
    events += _family_planning(account, line.person_id, line.year, line.village, credited_on)
    if line.year in account.matching:
        return events
    government = line.payer in GOVERNMENT or any(
        insurance is Insurance.PENSION and payer in GOVERNMENT for insurance, payer in before.booked
    )
    flag = pack.parameter("gov_paid_matching")
    if government and (flag is None or flag.value is not True):
        return events
    tier = pack.tier(line.tier_yuan)
    if tier is None or not tier.matching_yuan:
        return events
    events.append(
        e.GovernmentMatchingCredited(
            person_id=line.person_id,
            year=line.year,
            village=line.village,
            fen=pack.matching_subsidy(line.tier_yuan),
            credited_on=credited_on,
            rule="MATCHING_SUBSIDY",
            clause=tier.clause,
        )
    )
    return events


def _family_planning(
    account: Account, person_id: str, year: int, village: str, credited_on: dt.date
) -> list[Event]:
    """计生补贴 with the payment, whatever the tier; once a year and spouse, never for 补缴 (D-15, I-26)."""
    noted = account.spouses.get(year)
    if noted is None or year in account.family_planning:
        return []
    return [
        e.FamilyPlanningSubsidyCredited(
            person_id=person_id,
            year=year,
            village=village,
            fen=noted.fen,
            credited_on=credited_on,
            rule=noted.rule,
            clause=noted.clause,
        )
    ]


class Spouse(msgspec.Struct, frozen=True):
    """计生家庭的一方: who, the wife's birth (None while she is unknown here), and the plan."""

    person_id: str
    year: int
    campaign: str
    kind: str
    wife_birth: dt.date | None


def note_spouse(
    account: Account, books: Ledger, spouse: Spouse, policy: Policy, today: dt.date
) -> list[Event]:
    """Note a spouse whom the plan's rule covers, and credit at once what is paid already (D-15, D-57)."""
    rule = policy.pack.document.pension.family_planning
    if rule is None or spouse.kind not in rule.kinds or spouse.wife_birth is None:
        return []
    if spouse.year in account.spouses or full_years(spouse.wife_birth, rule.wife_age_on) < rule.wife_age_min:
        return []
    noted = e.FamilyPlanningSpouseNoted(
        person_id=spouse.person_id,
        year=spouse.year,
        campaign=spouse.campaign,
        kind=spouse.kind,
        fen=yuan(rule.yuan),
        rule="FAMILY_PLANNING",
        clause=rule.clause,
    )
    booked = books.legs_of(Insurance.PENSION)
    if booked is None or booked.special_assessment_no or sum(booked.legs.values()) != booked.standard_fen:
        return [noted]
    after = evolve_account(account, noted)
    return [noted, *_family_planning(after, spouse.person_id, spouse.year, booked.village, today)]


class Heads(msgspec.Struct, frozen=True):
    """What is booked of a campaign: heads of each kind and fen of the credited subsidies."""

    medical: int
    medical_special: int
    matching: tuple[int, int]
    family_planning: tuple[int, int]


class Counted(msgspec.Struct, frozen=True):
    """State of ``process:fiscal-heads:{campaign}``: the last count per kind."""

    kinds: Mapping[str, tuple[int, int]] = {}


def evolve_counted(state: Counted, event: Event) -> Counted:
    """Fold one event."""
    if isinstance(event, e.FiscalHeadsCounted):
        return Counted({**state.kinds, event.kind: (event.heads, event.fen)})
    return state


def count_heads(state: Counted, heads: Heads, policy: Policy, today: dt.date) -> list[Event]:
    """Restate what changed since the last count; a kind whose amount the plan does not know is left out (D-21).

    Who pays late at full cost brings the fiscal part himself: no subsidy is claimed for him.
    """
    pack, year = policy.pack, policy.pack.insured_year
    found: dict[str, tuple[int, int]] = {
        "PENSION_MATCHING": heads.matching,
        "FAMILY_PLANNING": heads.family_planning,
    }
    fiscal = pack.fiscal_subsidy_fen
    if fiscal is not None:
        full_cost = pack.document.medical.late.amount is LateAmount.FULL_COST
        medical = heads.medical + (0 if full_cost else heads.medical_special)
        found["MEDICAL_FISCAL"] = (medical, medical * int(fiscal))
    return [
        e.FiscalHeadsCounted(
            campaign=policy.campaign, year=year, kind=kind, heads=count, fen=fen, as_of=today
        )
        for kind, (count, fen) in sorted(found.items())
        if state.kinds.get(kind, (0, 0)) != (count, fen)
    ]


def crediting_pack(line: Line, policy: Policy) -> Pack:
    """The newest version that knows the tier: the matching subsidy is the government's, not the payer's."""
    known = (pack for pack in policy.versions if line.tier_yuan and pack.tier(line.tier_yuan) is not None)
    return next(known, policy.pack)


def close_part(
    state: Return,
    ledgers: Mapping[str, Ledger],
    lines: tuple[Line, ...],
    part: int,
    parts: int,
    stated: tuple[int, int],
    today: dt.date,
) -> list[Event]:
    """Note a part's outcome and, with the last one, acknowledge the document once.

    ledgers: per person, the lines decided; stated: (lines, fen) of the whole document. Raises
    LineUndecidedError when a line was neither booked nor refused: the part then goes to the dead letters
    instead of being lost.
    """
    if part in state.parts or state.acknowledged:
        return []
    booked: list[e.BookedLine] = []
    refused: list[e.RefusedLine] = []
    for line in lines:
        error = ledgers[line.person_id].lines.get((line.return_no, line.line_no))
        if error is None:
            raise LineUndecidedError(line.return_no)
        if error:
            refused.append(e.RefusedLine(line.line_no, line.person_id, error))
        else:
            booked.append(e.BookedLine(line.person_id, line.village, line.payer, line.fen))
    first = lines[0]
    noted = e.ReturnPartBooked(
        return_no=first.return_no,
        voucher_no=first.voucher_no,
        part=part,
        parts=parts,
        booked_lines=len(booked),
        booked_fen=sum(line.fen for line in booked),
        refused=tuple(refused),
        campaign=first.campaign,
        insurance=first.insurance,
        year=first.year,
        booked_on=today,
        booked=tuple(booked),
    )
    everything = [*state.parts.values(), noted]
    if len(everything) < parts:
        return [noted]
    return [noted, *_acknowledge(everything), *_totals(everything, first, lines, stated)]


def reverse_booking(state: Ledger, payment_line_id: str, refund_no: str, today: dt.date) -> list[Event]:
    """Take back what a refunded payment line booked; nothing when it was never booked."""
    return [
        e.BookkeepingReversed(
            person_id=posted.person_id,
            refund_no=refund_no,
            campaign=posted.campaign,
            village=posted.village,
            insurance=posted.insurance,
            year=posted.year,
            payer=posted.payer,
            fen=posted.fen,
            payment_line_id=payment_line_id,
            reversed_on=today,
        )
        for posted in state.booked.values()
        if payment_line_id and posted.payment_line_id == payment_line_id
    ]


def reverse_credit(
    account: Account, person_id: str, year: int, fen: int, refund_no: str, today: dt.date, village: str = ""
) -> list[Event]:
    """Take a reversed pension leg and the year's subsidies out of the account, once per refund."""
    if refund_no in account.reversed_refunds:
        return []
    return [
        e.PensionCreditReversed(
            person_id=person_id,
            year=year,
            fen=fen,
            matching_fen=account.matching.get(year, 0),
            refund_no=refund_no,
            reversed_on=today,
            family_planning_fen=account.family_planning.get(year, 0),
            village=village,
        )
    ]


class LineUndecidedError(Exception):
    """A line of a closed part has no outcome; carries the return number only."""


def first_of_next_month(day: dt.date) -> dt.date:
    """Interest runs from there."""
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)


def _mismatch(state: Ledger, line: Line, known: Knowledge) -> tuple[str, int] | None:
    """(field, our fen) of the first thing that does not fit."""
    if known.resident is None:
        return "person", 0
    if known.enrolment is None or not known.enrolment.live:
        return "enrolment", 0
    if isinstance(known.policy, Refusal):
        return "pack", 0
    if (line.insurance, line.payer) in state.booked:
        return "duplicate", state.booked[line.insurance, line.payer].fen
    open_fen = line.standard_fen - state.sum_of(line.insurance)
    if not 0 < line.fen <= open_fen:
        return "amount", open_fen
    found = [_standard_mismatch(line, known, pack) for pack in known.policy.versions]
    return None if None in found else found[0]


def _standard_mismatch(line: Line, known: Knowledge, pack: Pack) -> tuple[str, int] | None:
    """What differs from one version of the pack; the paid keep the version they were assessed by."""
    if line.insurance is Insurance.PENSION and not line.special_assessment_no:
        tier = None if line.tier_yuan is None else pack.tier(line.tier_yuan)
        if tier is None or line.standard_fen != tier.yuan * 100:
            return "tier", 0 if tier is None else tier.yuan * 100
        return None
    if not line.special_assessment_no:
        return None if line.standard_fen == pack.standard_fen else ("standard", pack.standard_fen)
    assessed = known.assessed
    if assessed is None or assessed.assessment_no != line.special_assessment_no:
        return "assessment", 0
    if line.payer == Payer.PERSON and line.fen != assessed.personal_fen:
        return "amount", assessed.personal_fen
    return None


_MAX_REFUSED = 400


def _acknowledge(parts: list[e.ReturnPartBooked]) -> list[Event]:
    refused = [line for part in sorted(parts, key=lambda item: item.part) for line in part.refused]
    return [
        e.CollectionInfoAcknowledged(
            return_no=parts[0].return_no,
            voucher_no=parts[0].voucher_no,
            booked_lines=sum(part.booked_lines for part in parts),
            booked_fen=sum(part.booked_fen for part in parts),
            refused_lines=len(refused),
            refused=tuple(refused[:_MAX_REFUSED]),
        )
    ]


def _totals(
    parts: list[e.ReturnPartBooked], first: Line, lines: tuple[Line, ...], stated: tuple[int, int]
) -> list[Event]:
    """Counts are compared over all parts; fen only where nothing was refused (refused fen stay named)."""
    count = sum(part.booked_lines + len(part.refused) for part in parts)
    fen = sum(part.booked_fen for part in parts)
    whole = not any(part.refused for part in parts)
    if count == stated[0] and (not whole or fen == stated[1]):
        return []
    return [
        e.ReturnTotalsDiffered(
            return_no=first.return_no,
            voucher_no=first.voucher_no,
            campaign=first.campaign,
            stated_count=stated[0],
            stated_fen=stated[1],
            count=count,
            fen=fen,
        )
    ]
