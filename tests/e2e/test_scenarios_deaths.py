"""EVENTS scenario 4: what a death does to money, cover and subsidy, whenever it is learned (I-16, I-25, I-28)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.e2e.scene import CAMPAIGN, MEDICAL_FEN, Payer, Scene, scene

PAID = dt.date(2019, 11, 2)
PENSION_FEN = 30_000
MATCHING_FEN = 3_000
BOTH = Payer("a", tier_yuan=300)


async def _pay(village: Scene, name: str, *insurances: str, day: dt.date = PAID) -> None:
    await village.day(day)
    order = await village.online(name, f"{day}T20:15", f"W-{name}-{day:%m%d}", *insurances)
    assert order["state"] == "TAKEN"


async def _book(village: Scene, day: dt.date = PAID) -> None:
    await village.day_file(day)
    await village.into_treasury(day)


async def _ask_refund(village: Scene, name: str, insurance: str, reason: str) -> Any:
    lines = await village.items("collection", "/payments", person_id=village.persons[name])
    (line,) = [row for row in lines if row["insurance"] == insurance]
    body = {"payment_line_id": line["line_id"], "reason": reason, "applicant": "heir"}
    return await village.ask("tax-branch", "collection", "/refunds", body)


async def _refund_states(village: Scene) -> list[tuple[str, str]]:
    rows = await village.items("collection", "/refunds", campaign=CAMPAIGN)
    return [(row["reason"], row["state"]) for row in rows]


async def _account(village: Scene, name: str) -> int:
    found = await village.get("registration", f"/people/{village.persons[name]}/account")
    return int(found["balance_fen"])


async def _cover(village: Scene, name: str) -> tuple[str, str | None, str | None]:
    found = await village.cover(name)
    assert found is not None
    return found["status"], found["from_date"], found["to_date"]


async def test_medical_money_of_one_who_died_before_january_goes_back_to_the_heirs() -> None:
    """Scenario 4a, I-28: refunded on request and the enrolment ended; the pension stays in the account."""
    async with scene(BOTH) as village:
        await _pay(village, "a", "medical", "pension")
        await _book(village)
        assert await _cover(village, "a") == ("GRANTED", "2020-01-01", "2020-12-31")
        assert await _account(village, "a") == PENSION_FEN + MATCHING_FEN

        early = await _ask_refund(village, "a", "medical", "DIED_BEFORE_PERIOD")
        assert (early.code, early.body["rule"]) == ("REFUND_NOT_DUE", "NOT_DEAD_BEFORE_PERIOD")
        await village.report_death("a", dt.date(2019, 12, 1), dt.date(2019, 12, 5))
        assert (await _cover(village, "a"))[0] == "WITHDRAWN"
        assert await _refund_states(village) == [], "it is the heirs who ask"

        assert (await _ask_refund(village, "a", "medical", "DIED_BEFORE_PERIOD")).status == 201
        pension = await _ask_refund(village, "a", "pension", "DIED_BEFORE_PERIOD")
        assert (pension.code, pension.body["rule"]) == ("REFUND_NOT_DUE", "PENSION_INHERITABLE")
        assert await _refund_states(village) == [("DIED_BEFORE_PERIOD", "VERIFIED")]
        assert (await village.enrolments("a"))["medical"] == "LINKED"
        await village.refunds(dt.date(2019, 12, 9))
        assert await _refund_states(village) == [("DIED_BEFORE_PERIOD", "SETTLED")]

        assert await village.enrolments("a") == {"medical": "TERMINATED", "pension": "LINKED"}
        assert await _account(village, "a") == PENSION_FEN + MATCHING_FEN
        assert await village.positions() == [
            ("medical", "WECHAT", "REFUNDED", 1, MEDICAL_FEN),
            ("pension", "WECHAT", "BOOKED", 1, PENSION_FEN),
        ]
        assert village.logged("registration", "EnrolmentTerminatedForRefund", "BookkeepingReversed") == [
            "EnrolmentTerminatedForRefund",
            "BookkeepingReversed",
        ]
        await village.assert_sound()


async def test_nothing_goes_back_when_death_comes_inside_the_year() -> None:
    """Scenario 4b, I-25, I-28: cover ends with life, the money stays, a request is refused."""
    async with scene(BOTH) as village:
        await _pay(village, "a", "medical", "pension")
        await _book(village)
        await village.report_death("a", dt.date(2020, 2, 3), dt.date(2020, 2, 10))
        assert await _cover(village, "a") == ("GRANTED", "2020-01-01", "2020-02-03")
        for insurance, rule in (("medical", "NOT_DEAD_BEFORE_PERIOD"), ("pension", "PENSION_INHERITABLE")):
            refused = await _ask_refund(village, "a", insurance, "DIED_BEFORE_PERIOD")
            assert (refused.code, refused.body["rule"]) == ("REFUND_NOT_DUE", rule)
        assert await _refund_states(village) == []
        assert await village.published("collection", "post_death_payment_detected") == []
        assert await village.enrolments("a") == {"medical": "LINKED", "pension": "LINKED"}
        await village.assert_sound()


async def test_a_payment_made_after_death_is_found_when_the_death_is_learned() -> None:
    """Scenario 4c, I-16: nobody knew; learned before booking, both payments are found and refunded."""
    async with scene(BOTH) as village:
        await _pay(village, "a", "medical", "pension")
        await village.report_death("a", PAID - dt.timedelta(days=1), PAID + dt.timedelta(days=3))
        found = await village.published("collection", "post_death_payment_detected")
        assert sorted(row["insurance"] for row in found) == ["medical", "pension"]
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "VERIFIED")] * 2
        await village.refunds(PAID + dt.timedelta(days=4))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "SETTLED")] * 2
        assert set((await village.enrolments("a")).values()) == {"TERMINATED"}
        await village.day_file(PAID)
        assert await village.vouchers() == [], "refunded money is not declared"
        assert await village.cover("a") is None
        await village.assert_sound()


async def test_a_payment_made_after_death_is_found_months_after_it_was_booked() -> None:
    """Scenario 4c, I-16, I-28: entered, booked, covered; learned in March: found, reversed, refunded, ended."""
    async with scene(BOTH) as village:
        await _pay(village, "a", "medical", "pension")
        await _book(village)
        await village.report_death("a", PAID - dt.timedelta(days=1), dt.date(2020, 3, 10))
        assert len(await village.published("collection", "post_death_payment_detected")) == 2
        assert (await _cover(village, "a"))[0] == "WITHDRAWN"
        await village.refunds(dt.date(2020, 3, 16))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "SETTLED")] * 2
        assert await _account(village, "a") == 0
        assert set((await village.enrolments("a")).values()) == {"TERMINATED"}
        assert await village.positions() == [
            ("medical", "WECHAT", "REFUNDED", 1, MEDICAL_FEN),
            ("pension", "WECHAT", "REFUNDED", 1, PENSION_FEN),
        ]
        await village.assert_sound()


async def test_a_payment_on_the_day_of_death_stands_and_one_after_a_known_death_is_refused() -> None:
    """Scenario 4c, I-16: paid_at <= death; asked later refused, captured later it opens a refund."""
    async with scene(Payer("a"), Payer("b")) as village:
        await _pay(village, "a")
        await village.report_death("a", PAID, PAID + dt.timedelta(days=2))
        assert await village.published("collection", "post_death_payment_detected") == []
        await village.report_death("b", PAID, PAID + dt.timedelta(days=2))
        late = PAID + dt.timedelta(days=4)
        await village.day(late)
        asked = await village.online("b", f"{late}T08:00", "W-9")
        assert (asked["state"], asked["code"]) == ("REFUSED", "PERSON_DECEASED")
        await village.online("b", f"{late}T09:00", "W-10", asked=False)
        await village.day_file(PAID)
        await village.day_file(late)
        (found,) = await village.published("collection", "post_death_payment_detected")
        assert found["person_id"] == village.persons["b"]
        await village.refunds(late)
        assert await village.positions() == [
            ("medical", "WECHAT", "REFUNDED", 1, MEDICAL_FEN),
            ("medical", "WECHAT", "VOUCHERED", 1, MEDICAL_FEN),
        ]
        await village.assert_sound()


async def test_a_wrong_report_that_is_withdrawn_undoes_everything() -> None:
    """Scenario 4d: finding withdrawn, refund cancelled, subsidy resolved again, cover and payment as before."""
    poor = Payer("poor", dt.date(1971, 3, 4), lists=(("CIVIL_AFFAIRS", "MINIMUM_LIVING"),))
    async with scene(BOTH, poor) as village:
        await _pay(village, "a", "medical", "pension")
        await _book(village)
        entitled = await _entitled(village)
        before = (await village.positions(), await _cover(village, "a"), await village.enrolments("a"))
        for name in ("a", "poor"):
            await village.report_death(name, dt.date(2019, 11, 1), PAID + dt.timedelta(days=5))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "VERIFIED")] * 2
        assert (await _cover(village, "a"))[0] == "WITHDRAWN"
        assert await _entitled(village) == []
        assert {row[2] for row in await village.positions()} == {"REFUND_DUE"}

        for name in ("a", "poor"):
            await village.correct_death(name, None, "police", "POLICE")
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "CANCELLED")] * 2
        after = (await village.positions(), await _cover(village, "a"), await village.enrolments("a"))
        assert after == before
        assert [row["person_id"] for row in await _entitled(village)] == [
            row["person_id"] for row in entitled
        ]
        await village.refunds(PAID + dt.timedelta(days=6))
        assert await village.published("collection", "refund_paid") == []
        assert await _account(village, "a") == PENSION_FEN + MATCHING_FEN
        report = await village.assert_sound()
        assert report.states == {"BOOKED": MEDICAL_FEN + PENSION_FEN}


async def test_a_death_withdrawn_and_found_again_is_refunded_after_all() -> None:
    """Scenarios 4c and 4d, I-28: the reopened refund is verified anew, its approval stands, it is paid once."""
    async with scene(Payer("a")) as village:
        await _pay(village, "a")
        early = PAID - dt.timedelta(days=1)
        await village.report_death("a", early, PAID + dt.timedelta(days=3))
        await _second_report(village, PAID + dt.timedelta(days=1))
        await village.refunds(PAID + dt.timedelta(days=4))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "APPROVED")], "held, not paid"
        await village.correct_death("a", PAID + dt.timedelta(days=1), "police", "POLICE")
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "CANCELLED")]

        for who, source in (("police", "POLICE"), ("civil-affairs", "CIVIL_AFFAIRS")):
            await village.correct_death("a", early, who, source)
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "APPROVED")]
        await village.refunds(PAID + dt.timedelta(days=5))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "SETTLED")]
        assert len(await village.published("collection", "refund_paid")) == 1
        await village.day_file(PAID)
        await village.assert_sound()


async def test_a_corrected_date_inside_the_year_restores_what_the_wrong_one_took() -> None:
    """Scenario 4d: died in February, first reported for November: paid in time, covered to the last day."""
    poor = Payer("poor", dt.date(1971, 3, 4), lists=(("CIVIL_AFFAIRS", "MINIMUM_LIVING"),))
    async with scene(Payer("a"), poor) as village:
        await _pay(village, "a")
        await _book(village)
        for name in ("a", "poor"):
            await village.report_death(name, dt.date(2019, 11, 1), dt.date(2020, 3, 2))
        assert await _entitled(village) == []
        for name in ("a", "poor"):
            await village.correct_death(name, dt.date(2020, 2, 20), "police", "POLICE")
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "CANCELLED")]
        assert await _cover(village, "a") == ("GRANTED", "2020-01-01", "2020-02-20")
        assert [row["person_id"] for row in await _entitled(village)] == [village.persons["poor"]]
        await village.assert_sound()


async def _entitled(village: Scene) -> list[dict[str, Any]]:
    return await village.items("subsidy", "/subsidy-entitlements", campaign=CAMPAIGN)


async def _second_report(village: Scene, date: dt.date) -> None:
    """Civil affairs report the death too."""
    body = {
        "person_id": village.persons["a"],
        "date": date.isoformat(),
        "source": "CIVIL_AFFAIRS",
        "batch_month": "2019-11",
    }
    await village.post("civil-affairs", "registration", "/deaths", body)


async def test_sources_that_disagree_open_a_task_until_they_agree() -> None:
    """Scenario 4e: the earlier date counts and is found, but no money moves; corrected, all is as before."""
    async with scene(Payer("a")) as village:
        await _pay(village, "a")
        later = PAID + dt.timedelta(days=1)
        await village.report_death("a", later, PAID + dt.timedelta(days=4))
        assert await _tasks(village, "OPEN") == []
        assert await village.published("collection", "post_death_payment_detected") == []
        await _second_report(village, PAID - dt.timedelta(days=1))
        assert await _tasks(village, "OPEN") == [village.persons["a"]]
        assert len(await village.published("collection", "post_death_payment_detected")) == 1
        await village.refunds(PAID + dt.timedelta(days=5))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "APPROVED")], "held, not paid"

        await village.correct_death("a", later, "civil-affairs", "CIVIL_AFFAIRS")
        assert await _tasks(village, "OPEN") == []
        assert await _tasks(village, "CLOSED") == [village.persons["a"]]
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "CANCELLED")]
        assert await village.positions() == [("medical", "WECHAT", "RECEIVED", 1, MEDICAL_FEN)]
        await village.day_file(PAID)
        await village.assert_sound()


async def test_a_refund_waits_while_a_second_source_says_otherwise() -> None:
    """Scenario 4e, I-28: found by the first report, held by the second; agreed on the first, it is paid."""
    async with scene(Payer("a")) as village:
        await _pay(village, "a")
        early = PAID - dt.timedelta(days=1)
        await village.report_death("a", early, PAID + dt.timedelta(days=4))
        await _second_report(village, PAID + dt.timedelta(days=1))
        await village.refunds(PAID + dt.timedelta(days=5))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "APPROVED")]
        await village.correct_death("a", early, "civil-affairs", "CIVIL_AFFAIRS")
        await village.refunds(PAID + dt.timedelta(days=6))
        assert await _refund_states(village) == [("PAID_AFTER_DEATH", "SETTLED")]
        await village.day_file(PAID)
        await village.assert_sound()


async def _tasks(village: Scene, state: str) -> list[str]:
    rows = await village.items("registration", "/tasks", state=state, kind="DEATH_DATE_DISPUTED")
    return [row["person_id"] for row in rows]
