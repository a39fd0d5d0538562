"""Progress: what is owed, paid, refused and refunded, whatever order the messages of two topics take."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from services.notification.progress import queries
from services.notification.progress.projection import ProgressProjection, metadata
from shared.contracts.collection import (
    AssessmentRefusedV1,
    ContributionAssessedV1,
    PaymentReceivedV1,
    RefundPaidV1,
)
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI
from shared.kernel.insurance import Insurance, Leg, Payer

CAMPAIGN, VILLAGE = "370406-2020", "370406101201"
AT = dt.datetime(2019, 11, 2, tzinfo=SHANGHAI)
WHERE: dict[str, Any] = {
    "person_id": "p1",
    "campaign": CAMPAIGN,
    "village": VILLAGE,
    "insurance": Insurance.MEDICAL,
    "year": 2020,
}
ASSESSED = ContributionAssessedV1(
    **WHERE,
    assessment_id="a",
    version=1,
    standard_fen=26_000,
    legs=(Leg(Payer.PERSON, 13_000), Leg(Payer.FINANCE, 13_000)),
    pack_id="ST-2020",
    pack_version=1,
)
PAID = PaymentReceivedV1(
    **WHERE, payment_id="W-1", line_id="W-1/1", order_no="1", channel="WECHAT", fen=13_000, paid_at=AT
)
REFUSED = AssessmentRefusedV1(**WHERE, rule="ENROLMENT_CANCELLED")
REFUNDED = RefundPaidV1(
    **WHERE,
    refund_no="F",
    payment_line_id="W-1/1",
    fen=13_000,
    paid_on=AT.date(),
    effective_payment_remains=False,
)


async def figures(*messages: Any) -> tuple[int, int, int, int, int]:
    """(persons, paid persons, due, paid, subsidised) of the village after the messages."""
    database = MemoryDatabase([metadata])
    numbers = itertools.count(1)
    recorded = [
        Recorded(number, f"e{number}", 2020, "received:collection", number, message, Metadata("c"), AT, AT)
        for number, message in zip(numbers, messages, strict=False)
    ]
    async with database.begin() as connection:
        await ProgressProjection().apply(connection, recorded)
    async with database.read() as connection:
        (row,) = await queries.by_village(connection, CAMPAIGN, "")
    return row.persons, row.paid_persons, row.due_fen, row.paid_fen, row.subsidised_fen


@pytest.mark.parametrize("order", list(itertools.permutations((ASSESSED, PAID))))
async def test_topics_come_in_any_order(order: tuple[Any, ...]) -> None:
    assert await figures(*order) == (1, 1, 26_000, 13_000, 13_000)


async def test_a_refund_that_ends_the_enrolment_leaves_nothing_due() -> None:
    """I-28: the due figure is collection's, which no longer has an obligation."""
    assert await figures(ASSESSED, PAID, REFUNDED, REFUSED) == (0, 0, 0, 0, 0)


async def test_the_same_message_twice_counts_once() -> None:
    assert await figures(ASSESSED, PAID, ASSESSED, PAID) == (1, 1, 26_000, 13_000, 13_000)
