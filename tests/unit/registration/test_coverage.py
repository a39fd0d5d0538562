"""Rates by the plans' measures, and the list of the missing (D-53, I-32)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.registration.coverage import domain as d
from shared.contracts.collection import PaymentReceivedV1, RefundPaidV1
from shared.kernel.insurance import Insurance
from shared.policy import load_pack
from shared.testing.service import MemoryService
from tests.unit.registration.scenery import VILLAGE, Desk, receive
from tests.unit.registration.test_booking import resolved

NEXT_VILLAGE = "370406101202"
PLAN_2025, PLAN_2018, PLAN_2023 = (load_pack(name) for name in ("SC-2025", "DZ-2018", "YC-2023"))
OLDER, YOUNGER = d.Band(45, 59), d.Band(16, 44)


def circumstances(birth: dt.date, **more: Any) -> d.Circumstances:
    values: dict[str, Any] = {
        "birth": birth,
        "hukou_division": "370406001001",
        "residence_permit": False,
        "student": False,
        "employee": False,
        "elsewhere": False,
        **more,
    }
    return d.Circumstances(**values)


def group(age: int, persons: int, *, enrolled: bool, paid: bool, **more: Any) -> d.Group:
    """People whose age on the last day of SC-2025's pension window is ``age``."""
    window = PLAN_2025.window("pension")
    birth = dt.date(window.end.year - age, window.end.month, window.end.day)
    return d.Group(VILLAGE, circumstances(birth, **more), enrolled, paid, persons)


def counts(*groups: d.Group) -> dict[d.Band, d.Count]:
    eligibility = d.Eligibility(PLAN_2025, Insurance.PENSION, PLAN_2025.window("pension").end)
    found = d.count_groups(groups, eligibility, [d.Band(), OLDER, YOUNGER])
    return {band: count for (_, band), count in found.items()}


def test_the_older_band_is_paid_over_eligible_and_the_younger_paid_over_enrolled() -> None:
    """D-53: 45-59 over everybody who could be insured, the younger over who is enrolled; both are shown."""
    found = counts(
        group(45, 6, enrolled=True, paid=True),
        group(59, 2, enrolled=True, paid=False),
        group(50, 2, enrolled=False, paid=False),
        group(44, 3, enrolled=True, paid=True),
        group(16, 2, enrolled=True, paid=False),
        group(30, 5, enrolled=False, paid=False),
    )
    older, younger = found[OLDER], found[YOUNGER]
    assert (older.eligible, older.enrolled, older.paid) == (10, 8, 6)
    assert (younger.eligible, younger.enrolled, younger.paid) == (10, 5, 3)
    measures = {target.age_from: target.measure for target in d.targets_of(PLAN_2025, Insurance.PENSION)}
    assert older.rate(measures[45]) == 0.6
    assert younger.rate(measures[16]) == 0.6
    assert (older.paid_over_enrolled, younger.paid_over_eligible) == (0.75, 0.3)


def test_who_may_not_be_insured_is_not_missing() -> None:
    """I-04, I-05: a student, somebody insured by an employer, a stranger without permit, 15 and 60."""
    found = counts(
        group(20, 1, enrolled=False, paid=False, student=True),
        group(30, 1, enrolled=False, paid=False, employee=True),
        group(30, 1, enrolled=False, paid=False, hukou_division="370404"),
        group(15, 1, enrolled=False, paid=False),
        group(61, 1, enrolled=False, paid=False),
    )
    assert found == {}


def test_bands_and_percentages_are_the_plans_own() -> None:
    """I-32: 100 % (2018), 95 % and 60 % (2025); YC-2023 prints none but must not fall."""
    assert [(t.percent, t.age_from) for t in d.targets_of(PLAN_2018, Insurance.PENSION)] == [
        (100, 45),
        (60, 16),
    ]
    assert [(t.percent, t.age_from) for t in d.targets_of(PLAN_2025, Insurance.PENSION)] == [
        (95, 45),
        (60, 16),
    ]
    [falls] = d.targets_of(PLAN_2023, Insurance.MEDICAL)
    assert falls.measure == "RATE_NOT_BELOW_LAST_YEAR"


@pytest.mark.parametrize(
    ("day", "expected"),
    [(dt.date(2024, 2, 29), dt.date(2023, 2, 28)), (dt.date(2024, 12, 31), dt.date(2023, 12, 31))],
)
def test_a_year_before(day: dt.date, expected: dt.date) -> None:
    assert d.a_year_before(day) == expected


def paid(person_id: str, number: int) -> PaymentReceivedV1:
    return PaymentReceivedV1(
        person_id=person_id,
        campaign="370406-2020",
        village=VILLAGE,
        insurance=Insurance.MEDICAL,
        year=2020,
        payment_id=f"W-{number}",
        line_id=f"W-{number}/1",
        order_no=str(number),
        channel="WECHAT",
        fen=26_000,
        paid_at=dt.datetime.fromisoformat("2019-11-05T12:00:00+08:00"),
    )


async def medical(desk: Desk, division: str = "370406") -> dict[str, tuple[int, int, int, float]]:
    """(eligible, enrolled, paid, rate) per village; "" is the division."""
    answer = await desk.get("/coverage", year=2020, division=division)
    short = await desk.get("/coverage", year=2020, division=division, villages="false")
    assert short["items"] == [item for item in answer["items"] if not item["village"]]
    return {
        item["village"]: (item["eligible"], item["enrolled"], item["paid"], item["rate"])
        for item in answer["items"]
        if item["insurance"] == "medical" and item["band"] == "ALL"
    }


async def test_everybody_who_could_be_insured_is_counted_and_the_missing_are_listed(
    desk: Desk, service: MemoryService
) -> None:
    """应保尽保: paid by the person, carried by government, enrolled but unpaid, not enrolled, dead, an employee."""
    birth = dt.date(1980, 5, 1)
    people = [await desk.person(birth, serial) for serial in (2, 4, 6, 8, 10, 12)]
    other = await desk.person(birth, 14, division=NEXT_VILLAGE, hukou_division=NEXT_VILLAGE)
    payer, carried, late, absent, dead, employee = people
    for person_id in (payer, carried, late, other):
        await desk.enrolled(person_id)
    await receive(service, paid(payer, 1), paid(other, 2), resolved(carried, 26_000))
    report = {"person_id": dead, "date": "2019-10-01", "source": "POLICE", "batch_month": "2019-10"}
    assert (await desk.post("/deaths", report)).status_code == 201
    spell = {"person_id": employee, "insurance": "medical", "from_date": "2019-01-01"}
    assert (await desk.post("/employee-insurance", spell)).status_code == 201

    assert await medical(desk) == {"": (5, 4, 3, 0.6), VILLAGE: (4, 3, 2, 0.5), NEXT_VILLAGE: (1, 1, 1, 1.0)}
    assert await medical(desk, NEXT_VILLAGE) == {"": (1, 1, 1, 1.0), NEXT_VILLAGE: (1, 1, 1, 1.0)}

    missing: dict[str, str] = {}
    after: str | None = ""
    while after is not None:
        page = await desk.get(
            "/coverage/missing", year=2020, insurance="medical", division="370406", after=after, limit=1
        )
        missing |= {item["person_id"]: item["state"] for item in page["items"]}
        assert all(item["name"] == "示例" for item in page["items"])
        after = page["next"]
    assert missing == {late: "NOT_PAID", absent: "NOT_ENROLLED"}

    refund = RefundPaidV1(
        person_id=payer,
        refund_no="F",
        payment_line_id="W-1/1",
        campaign="370406-2020",
        village=VILLAGE,
        insurance=Insurance.MEDICAL,
        year=2020,
        fen=26_000,
        paid_on=dt.date(2019, 12, 5),
        effective_payment_remains=True,
    )
    await receive(service, refund)
    assert (await medical(desk))[VILLAGE] == (4, 3, 1, 0.25), "what went back is not paid"


async def test_this_years_rate_stands_beside_last_years(desk: Desk, service: MemoryService) -> None:
    """004:L62-64: the rate must not fall; without payments of the year before there is nothing to compare."""
    birth = dt.date(1980, 5, 1)
    first, second = await desk.person(birth, 2), await desk.person(birth, 4)

    async def rate_before() -> Any:
        answer = await desk.get("/coverage", year=2020, division="370406")
        return answer["items"][0]["last_year_rate"]

    assert await rate_before() is None
    await receive(service, *(_of_year(paid(person, n), 2019) for n, person in enumerate((first, second), 1)))
    assert await rate_before() == 1.0


def _of_year(message: PaymentReceivedV1, year: int) -> PaymentReceivedV1:
    import msgspec

    return msgspec.structs.replace(message, year=year)


async def test_a_caller_of_another_division_sees_no_rates_and_no_missing(service: MemoryService) -> None:
    """DIVISION_FORBIDDEN."""
    async with service.client(["registration:enrolment:read"], divisions=["370404"]) as client:
        for path in ("/coverage", "/coverage/missing"):
            answer = await client.get(
                path, params={"year": 2020, "division": "370406", "insurance": "medical"}
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN")
