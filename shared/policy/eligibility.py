"""Who may be insured, when and through which channel: the refusals that need no amount. Pure."""

from __future__ import annotations

import datetime as dt

from shared.kernel.identity import full_years
from shared.policy.assessment import Hukou
from shared.policy.reckoning import Reckoning, refuse
from shared.policy.terms import AgeMode, ChannelKind, Flag, Insurance, Number


def check_dates(sheet: Reckoning) -> None:
    """Refuse dates that no rule of the pack can meet (D-24, D-50)."""
    request, pack = sheet.request, sheet.pack
    window = pack.window(request.insurance)
    if request.birth > request.paid_at:
        raise refuse("INVALID_REQUEST", "BIRTH_AFTER_PAYMENT", "", "birth")
    if request.paid_at < window.start:
        raise refuse("OUTSIDE_WINDOW", "BEFORE_WINDOW", window.clause, "paid_at")
    if request.paid_at > pack.year_end:
        raise refuse("OUTSIDE_WINDOW", "YEAR_OVER", "D-50", "paid_at")


def check_channel_named(sheet: Reckoning) -> None:
    """Resolve the channel. Refuses one the pack does not name for the insurance (FACTS of channels)."""
    request = sheet.request
    if request.channel is None:
        return
    found = sheet.pack.channel(request.channel)
    if found is None or request.insurance not in found.insurances:
        raise refuse(
            "CHANNEL_NOT_ALLOWED", "CHANNEL_NOT_NAMED", "" if found is None else found.clause, "channel"
        )
    sheet.channel = found
    if request.by_agent and ChannelKind.AGENT in found.kinds:
        sheet.kind = ChannelKind.AGENT
    else:
        sheet.kind = next((kind for kind in found.kinds if kind is not ChannelKind.AGENT), ChannelKind.AGENT)


def check_channel_open(sheet: Reckoning) -> None:
    """Refuse an agent channel outside the collection phase (D-25, D-26, D-47).

    Self-service and counters stay open after the window: the late rule governs them.
    """
    request, found = sheet.request, sheet.channel
    if found is None or sheet.kind is not ChannelKind.AGENT:
        return
    if not sheet.pack.channel_allowed(
        request.insurance, found.code, request.paid_at, by_agent=True, extended_to=request.extended_to
    ):
        raise refuse(
            "CHANNEL_NOT_ALLOWED",
            "CHANNEL_NOT_OPEN",
            f"{found.clause} {sheet.pack.collection.clause}",
            "channel",
        )


def check_eligible(sheet: Reckoning) -> None:
    """Refuse who the plan does not cover for this insurance (I-04, I-05)."""
    if sheet.request.insurance is Insurance.MEDICAL:
        _check_medical(sheet)
    else:
        _check_pension(sheet)


def _check_medical(sheet: Reckoning) -> None:
    request, rules = sheet.request, sheet.pack.document.eligibility.medical
    _check_employee(sheet, rules.employee_excluded)
    if request.paid_elsewhere:
        flag = rules.paid_elsewhere_excluded
        if flag is None:
            sheet.warn("PAID_ELSEWHERE_UNSPECIFIED")
        elif flag.value:
            raise refuse("PAID_ELSEWHERE", "I-05", flag.clause, "paid_elsewhere")
    if request.hukou is Hukou.IN:
        sheet.explain("ROUTE_HUKOU", rules.hukou, {"hukou": "in"})
    elif request.permit and rules.permit.value:
        sheet.explain("ROUTE_PERMIT", rules.permit, {"hukou": "out", "permit": True})
    elif request.student and rules.outside_students.value:
        sheet.explain("ROUTE_STUDENT", rules.outside_students, {"hukou": "out", "student": True})
    else:
        raise refuse("HUKOU", "I-04", rules.permit.clause, "hukou")


def _check_pension(sheet: Reckoning) -> None:
    request, rules = sheet.request, sheet.pack.document.eligibility.pension
    _check_employee(sheet, rules.employee_excluded)
    if request.student and rules.students_excluded.value:
        clause = rules.students_excluded.clause
        raise refuse("STUDENT", "I-04", clause, "student")
    if request.hukou is Hukou.OUT and not (request.permit and rules.permit.value):
        raise refuse("HUKOU", "I-04", rules.permit.clause, "hukou")
    route = rules.hukou if request.hukou is Hukou.IN else rules.permit
    sheet.explain(
        "ROUTE_HUKOU" if route is rules.hukou else "ROUTE_PERMIT", route, {"hukou": request.hukou.value}
    )
    youngest = _number(sheet, rules.age_min)
    paid_age = full_years(request.birth, request.paid_at)
    if paid_age < youngest:
        raise refuse("AGE_UNDER_16", "I-04", rules.age_min.clause, "birth", age=youngest)
    oldest = _number(sheet, rules.age_max)
    age = full_years(request.birth, sheet.pack.age_date)
    if age > oldest:
        raise refuse("AGE_OVER_MAX", "D-44", rules.age_max.clause, "birth", age=oldest)
    sheet.explain("PENSION_AGE", rules.age_min, {"age": age, "from": youngest, "to": oldest})


def _check_employee(sheet: Reckoning, flag: Flag) -> None:
    if sheet.request.employee_insured and flag.value:
        raise refuse("EMPLOYEE_INSURED", "I-05", flag.clause, "employee_insured")


def _number(sheet: Reckoning, number: Number) -> int:
    return sheet.whole(number.parameter) if number.value is None else number.value


def age_date_of(sheet: Reckoning) -> dt.date:
    """The day on which relief by age is judged for this way of paying (D-43)."""
    reference = sheet.pack.age_reference(sheet.kind)
    if reference.mode is AgeMode.PAYMENT_DATE:
        return min(sheet.request.paid_at, sheet.pack.age_date)
    return sheet.pack.age_date
