"""居民医疗保险: relief, late payment, cover. Pure."""

from __future__ import annotations

import datetime as dt

from shared.kernel.identity import full_years
from shared.kernel.money import ZERO, Fen, yuan
from shared.policy.assessment import Assessment, Leg
from shared.policy.eligibility import age_date_of, check_channel_open
from shared.policy.provisions import LateRule, Relief
from shared.policy.reckoning import Reckoning, add_months, refuse
from shared.policy.terms import AgeMode, ChannelKind, LateAmount, Payer


def assess_medical(sheet: Reckoning) -> Assessment:
    """Standard, relief and cover of a person who may be insured."""
    pack, request = sheet.pack, sheet.request
    medical = pack.document.medical
    personal = medical.personal
    standard = yuan(sheet.whole(personal.parameter) if personal.value is None else personal.value)
    sheet.explain("MEDICAL_STANDARD", medical.personal, {"standard_fen": standard})
    newborn = _is_newborn(sheet)
    late = not newborn and request.paid_at >= _late_from(sheet)
    if late:
        entitled = _entitled_late(sheet, medical.late)
    else:
        entitled = max(medical.entitlement.start, request.birth) if newborn else medical.entitlement.start
        sheet.explain("ENTITLEMENT", medical.entitlement, {"from": entitled.isoformat()})
        _warn_out_of_window(sheet, newborn)
    relief = _relief(sheet, standard)
    extra = ZERO
    if late:
        relief = _late_relief(sheet, relief)
        standard, extra = _late_amounts(sheet, medical.late, standard)
    if relief is None:
        rule, clause = _standard_rule(sheet, late)
        legs: tuple[Leg, ...] = (Leg(Payer.PERSON, Fen(standard + extra), rule, clause),)
    else:
        legs = _relieved_legs(sheet, relief, standard, extra)
    legs = _with_aid(sheet, legs)
    if any(leg.payer is Payer.PERSON and leg.fen for leg in legs):
        check_channel_open(sheet)
    return sheet.answer(legs, late=late, entitled=(entitled, pack.year_end))


# -- dates --------------------------------------------------------------------------------------


def _late_from(sheet: Reckoning) -> dt.date:
    start = dt.date.fromisoformat(str(sheet.required_quietly(sheet.pack.document.medical.late.start)))
    extended = sheet.request.extended_to
    if extended is None:
        return start
    return max(start, min(extended, sheet.pack.year_end) + dt.timedelta(days=1))


def _warn_out_of_window(sheet: Reckoning, newborn: bool) -> None:
    window, paid_at = sheet.pack.window("medical"), sheet.request.paid_at
    end = max(window.end, sheet.request.extended_to or window.end)
    if paid_at > end and not newborn:
        sheet.warn("OUT_OF_WINDOW")
        sheet.explain(
            "OUT_OF_WINDOW", sheet.parameter(sheet.pack.document.medical.late.start), {"window_end": str(end)}
        )


def _is_newborn(sheet: Reckoning) -> bool:
    """Born recently enough for the newborn window, and paying after the collection window (I-25)."""
    request, pack = sheet.request, sheet.pack
    if pack.parameter("newborn_window_months") is None or request.paid_at <= pack.window("medical").end:
        return False
    if full_years(request.birth, request.paid_at) > 0:
        return False
    months = sheet.whole("newborn_window_months")
    return request.paid_at <= add_months(request.birth, months)


def _entitled_late(sheet: Reckoning, rule: LateRule) -> dt.date:
    """First day of cover after a late payment. Refuses a wait that ends after the year (D-50)."""
    paid_at, pack = sheet.request.paid_at, sheet.pack
    if rule.wait_days:
        wait = sheet.whole(rule.wait_days)
        ready = paid_at + dt.timedelta(days=wait)
    else:
        wait = sheet.whole(rule.wait_months)
        ready = add_months(paid_at, wait)
    if sheet.value("wait_counting") == "CIVIL":
        ready += dt.timedelta(days=1)
    entitled = max(pack.year_start, ready)
    sheet.explain(
        "LATE_WAIT",
        rule,
        {"paid_at": paid_at.isoformat(), "wait": wait, "entitled_from": entitled.isoformat()},
    )
    if entitled > pack.year_end:
        raise refuse("OUTSIDE_WINDOW", "WAIT_BEYOND_YEAR", f"{rule.clause} D-50", "paid_at")
    return entitled


# -- amounts ------------------------------------------------------------------------------------


def _late_amounts(sheet: Reckoning, rule: LateRule, standard: Fen) -> tuple[Fen, Fen]:
    """Personal part and what a late payer owes beyond it. Refuses an unknown subsidy (D-21)."""
    if rule.amount is LateAmount.PERSONAL_PART:
        sheet.explain("LATE_PERSONAL_PART", rule, {"standard_fen": standard})
        return standard, ZERO
    if rule.amount is LateAmount.PARAMETER:
        amount = yuan(sheet.whole(rule.amount_parameter))
        sheet.explain("LATE_AMOUNT", rule, {"amount_fen": amount})
        return amount, ZERO
    fiscal = sheet.pack.document.medical.fiscal
    extra = yuan(fiscal.value if fiscal.value is not None else sheet.whole(fiscal.parameter))
    sheet.explain("LATE_FULL_COST", rule, {"standard_fen": standard, "fiscal_fen": extra})
    return standard, extra


def _late_relief(sheet: Reckoning, relief: Relief | None) -> Relief | None:
    if relief is None:
        return None
    return relief if sheet.required("late_relief") == "KEPT" else None


def _standard_rule(sheet: Reckoning, late: bool) -> tuple[str, str]:
    medical = sheet.pack.document.medical
    if not late:
        return "MEDICAL_STANDARD", medical.personal.clause
    rule = {
        LateAmount.FULL_COST: "LATE_FULL_COST",
        LateAmount.PERSONAL_PART: "LATE_PERSONAL_PART",
        LateAmount.PARAMETER: "LATE_AMOUNT",
    }[medical.late.amount]
    return rule, medical.late.clause


def _relieved_legs(sheet: Reckoning, relief: Relief, standard: Fen, extra: Fen) -> tuple[Leg, ...]:
    person = min(_person_share(sheet, relief, standard), standard)
    rest = Fen(standard - person)
    legs = [Leg(Payer.PERSON, Fen(person + extra), relief.rule, relief.clause)]
    if relief.first_aid and rest:
        aid = sheet.value(relief.first_aid)
        if aid is None:
            sheet.warn("FIXED_AID_SPLIT_UNKNOWN")
        else:
            first = min(yuan(int(aid)), rest)
            legs.append(Leg(Payer.DEPARTMENT, first, f"{relief.rule}_AID", relief.clause))
            rest = Fen(rest - first)
    legs.append(Leg(relief.payer, rest, relief.rule, relief.clause))
    return tuple(legs)


def _person_share(sheet: Reckoning, relief: Relief, standard: Fen) -> Fen:
    share = relief.person
    if share.yuan is not None:
        return yuan(share.yuan)
    if share.percent is not None:
        return Fen(standard * share.percent // 100)
    if share.parameter:
        return yuan(sheet.whole(share.parameter))
    return Fen(max(standard - yuan(sheet.whole(share.less)), 0))


def _with_aid(sheet: Reckoning, legs: tuple[Leg, ...]) -> tuple[Leg, ...]:
    """Move part of the person's leg to a village or a sponsor, where the plan invites it."""
    if not sheet.request.aid:
        return legs
    allowed = sheet.pack.document.medical.sponsor_aid
    if allowed is None:
        raise refuse("POLICY_UNSPECIFIED", "SPONSOR_AID_UNSPECIFIED", "", "aid")
    kept = {leg.payer: leg for leg in legs}
    person = kept[Payer.PERSON]
    left = person.fen
    for aid in sheet.request.aid:
        if aid.payer not in (Payer.VILLAGE, Payer.SPONSOR) or aid.fen <= 0 or aid.payer in kept:
            raise refuse("INVALID_REQUEST", "AID_INVALID", allowed.clause, "aid")
        part = min(aid.fen, left)
        left = Fen(left - part)
        kept[aid.payer] = Leg(aid.payer, part, "SPONSOR_AID", allowed.clause)
    sheet.explain("SPONSOR_AID", allowed, {"person_fen": left})
    kept[Payer.PERSON] = Leg(Payer.PERSON, left, person.rule, person.clause)
    return tuple(kept.values())


# -- relief -------------------------------------------------------------------------------------


def _relief(sheet: Reckoning, standard: Fen) -> Relief | None:
    """The relief that leaves the person least; one payer's relief only (I-11, D-27)."""
    pack = sheet.pack
    day = age_date_of(sheet)
    matching = [relief for relief in pack.document.medical.relief if _matches(sheet, relief, day)]
    if all(not relief.categories for relief in matching):
        _warn_birthday(sheet, day)
    if not matching:
        _warn_without_relief(sheet)
        return None
    forfeits = pack.document.medical.online_forfeits_relief
    if forfeits is not None and forfeits.value and sheet.kind is ChannelKind.ONLINE:
        sheet.warn("RELIEF_FORFEITED_ONLINE")
        sheet.explain("RELIEF_FORFEITED_ONLINE", forfeits, {"relief": matching[0].rule})
        return None
    best = (
        matching[0] if len(matching) == 1 else min(matching, key=lambda r: _rough_share(sheet, r, standard))
    )
    sheet.explain(
        best.rule,
        best,
        {
            "age": full_years(sheet.request.birth, day),
            "age_date": day.isoformat(),
            "categories": sorted(sheet.identities.intersection(best.categories)),
        },
    )
    return best


def _matches(sheet: Reckoning, relief: Relief, day: dt.date) -> bool:
    identities = sheet.identities
    if relief.categories and not identities.intersection(relief.categories):
        return False
    if relief.requires_list and not sheet.departments.intersection(relief.requires_list):
        return False
    if relief.unless and identities.intersection(relief.unless):
        return False
    return _in_band(sheet, relief, day)


def _in_band(sheet: Reckoning, relief: Relief, day: dt.date) -> bool:
    birth = sheet.request.birth
    if relief.born_from is not None or relief.born_to is not None:
        return (relief.born_from or dt.date.min) <= birth <= (relief.born_to or dt.date.max)
    if relief.age_from is None:
        return True
    age = full_years(birth, day)
    return age >= relief.age_from and (relief.age_to is None or age <= relief.age_to)


def _rough_share(sheet: Reckoning, relief: Relief, standard: Fen) -> int:
    """The share for choosing between reliefs: an unset parameter counts as the whole standard."""
    share = relief.person
    name = share.parameter or share.less
    if not name:
        return _person_share(sheet, relief, standard)
    override = sheet.overrides.get(name)
    value = override[0] if override is not None else sheet.parameter(name).value
    if value is None:
        return standard
    fen = yuan(int(value))
    return fen if share.parameter else max(standard - fen, 0)


def _warn_birthday(sheet: Reckoning, day: dt.date) -> None:
    """YC-2023: whoever reaches an age band later in the year should wait before paying online."""
    reference = sheet.pack.age_reference(sheet.kind)
    if reference.mode is not AgeMode.PAYMENT_DATE or day >= sheet.pack.age_date:
        return
    birth, year_end = sheet.request.birth, sheet.pack.age_date
    now, then = full_years(birth, day), full_years(birth, year_end)
    if any(now < (relief.age_from or 0) <= then for relief in sheet.pack.document.medical.relief):
        sheet.warn("BIRTHDAY_HOLD", age=then)
        sheet.explain("BIRTHDAY_HOLD", reference, {"age": now, "age_at_year_end": then})


def _warn_without_relief(sheet: Reckoning) -> None:
    if sheet.identities:
        sheet.warn("CATEGORY_WITHOUT_RELIEF")
