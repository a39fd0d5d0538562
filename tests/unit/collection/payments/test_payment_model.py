"""Whatever orders come, repeat or cross with deaths: money in = sum of the named states (I-14..I-17)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation
from services.collection.obligations.domain import evolve as evolve_obligation
from services.collection.payments.deaths import apply_death
from services.collection.payments.domain import (
    Knowledge,
    Placement,
    ReceiptState,
    Suspense,
    evolve_receipt,
    evolve_suspense,
    place_order,
)
from services.collection.payments.orders import Key, Order, OrderLine, Receipt
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from tests.unit.collection.money_service import (
    AGENT,
    CAMPAIGN,
    agent_fact,
    assessed,
    at,
    campaign_fact,
    roster_fact,
)

PERSONS = ("p1", "p2", "p3", "stranger")
DAYS = ("2019-09-15", "2019-10-30", "2019-11-05", "2019-11-21", "2019-12-20", "2020-01-15")

lines = st.builds(
    OrderLine,
    st.sampled_from(PERSONS),
    st.just(2020),
    st.just(Insurance.MEDICAL),
    st.sampled_from([26000, 26000, 26000, 25999, 13000]),
)
orders = st.builds(
    lambda number, channel, day, paid, captured, serial: Order(
        order_no=f"O{number}",
        channel=channel,
        paid_at=at(day),
        lines=tuple(paid),
        agent_id=AGENT if channel == "CASH_AGENT" else "",
        receipt=Receipt("B", serial) if channel == "CASH_AGENT" else None,
        captured=captured,
    ),
    st.integers(1, 4),
    st.sampled_from(["WECHAT", "ALIPAY", "CASH_AGENT", "PIGEON"]),
    st.sampled_from(DAYS),
    st.lists(lines, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(["1", "2", "3"]),
)
deaths = st.tuples(
    st.sampled_from(PERSONS[:3]),
    st.one_of(st.none(), st.sampled_from(DAYS).map(dt.date.fromisoformat)),
)
steps = st.lists(st.one_of(orders, orders, deaths), max_size=14)


class Books:
    """All streams of the model, folded by the domain's own functions."""

    def __init__(self) -> None:
        self.obligations: dict[Key, Obligation] = {}
        self.suspenses: dict[str, Suspense] = {}
        self.receipts: dict[Receipt, ReceiptState] = {}
        self.orders: dict[str, Order] = {}
        self.money_in = 0
        for person in PERSONS[:3]:
            self.obligations[2020, Insurance.MEDICAL, person] = evolve_obligation(
                Obligation(), assessed(person)
            )

    @property
    def placed(self) -> int:
        on = sum(line.fen for state in self.obligations.values() for line in state.lines.values())
        aside = sum(
            line.fen for state in self.suspenses.values() for line in state.lines.values()
            if not line.identified
        )  # fmt: skip
        return on + aside

    def place(self, order: Order) -> Placement | Refusal:
        rosters = {(CAMPAIGN, Insurance.MEDICAL, person): roster_fact() for person in PERSONS}
        known = Knowledge({CAMPAIGN: campaign_fact()}, {}, rosters, {CAMPAIGN: agent_fact()})
        states = {line.key: self.obligations.get(line.key, Obligation()) for line in order.lines}
        return place_order(
            order,
            states,
            known,
            self.suspenses.get(order.payment_id, Suspense()) if order.captured else None,
            self.receipts.get(order.receipt, ReceiptState()) if order.receipt else None,
        )

    def write(self, order: Order, placement: Placement) -> None:
        for line in placement.lines:
            for event in line.events:
                if line.key is None:
                    state = self.suspenses.get(order.payment_id, Suspense())
                    self.suspenses[order.payment_id] = evolve_suspense(state, event)
                else:
                    self.obligations[line.key] = evolve_obligation(self.obligations[line.key], event)
        for event in placement.receipt:
            assert order.receipt is not None
            state_of = self.receipts.get(order.receipt, ReceiptState())
            self.receipts[order.receipt] = evolve_receipt(state_of, event)

    def submit(self, order: Order) -> None:
        known = self.orders.get(order.payment_id)
        placement = self.place(order)
        if isinstance(placement, Refusal):
            assert known is not None or not order.captured, placement
            return
        if placement.repeated:
            assert known is not None
            return
        if known is not None:
            return  # the order's guard refuses it
        self.orders[order.payment_id] = order
        self.write(order, placement)
        self.money_in += order.fen
        again = self.place(order)
        assert isinstance(again, Placement)
        assert again.repeated

    def die(self, person: str, died_on: dt.date | None) -> None:
        key = (2020, Insurance.MEDICAL, person)
        noted = e.PayerDeathNoted(person_id=person, insurance=Insurance.MEDICAL, year=2020, died_on=died_on)
        for event in apply_death(self.obligations[key], noted):
            self.obligations[key] = evolve_obligation(self.obligations[key], event)
        assert not apply_death(self.obligations[key], noted)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_money_in_is_the_sum_of_the_named_states(taken: list[Any]) -> None:
    """No order, repetition or death makes or loses a fen; one effective payment per obligation."""
    books = Books()
    for step in taken:
        if isinstance(step, Order):
            books.submit(step)
        else:
            books.die(*step)
        assert books.placed == books.money_in
        for state in books.obligations.values():
            effective = [line for line in state.lines.values() if line.standing == "EFFECTIVE"]
            assert len(effective) <= 1
            for line in effective:
                assert line.fen == 26000
                assert state.died_on is None or line.paid_at.date() <= state.died_on


@settings(max_examples=100, deadline=None)
@given(orders)
def test_an_asked_order_is_taken_whole_or_not_at_all(order: Order) -> None:
    """All lines or none: a refusal comes before any event."""
    books = Books()
    asked = replace(order, captured=False)
    placement = books.place(asked)
    if isinstance(placement, Placement):
        assert all(line.standing == "EFFECTIVE" and line.events for line in placement.lines)
        assert len(placement.lines) == len(asked.lines)


def test_a_filed_order_matches_known_lines_and_sets_strange_ones_aside() -> None:
    """A day file names a known order: its lines are matched, what it adds is not believed (I-17)."""
    books = Books()
    first = Order("O1", "WECHAT", at("2019-11-02"), (_owed("p1"),))
    books.submit(first)
    filed = replace(first, lines=(_owed("p1"), _owed("p2")), captured=True, filed=True)
    placement = books.place(filed)
    assert isinstance(placement, Placement)
    assert [(line.line_id, line.standing, line.known) for line in placement.lines] == [
        ("WECHAT-O1/1", "EFFECTIVE", True),
        ("WECHAT-O1/x2", "UNIDENTIFIED", False),
    ]


def test_a_second_file_with_other_strange_lines_does_not_write_over_the_first() -> None:
    """Money told by a channel is final (I-17): two files, two strange amounts, two lines in suspense."""
    books = Books()
    first = Order("O1", "WECHAT", at("2019-11-02"), (_owed("p1"),))
    books.submit(first)
    ids = []
    for fen in (100, 200, 100):
        strange = replace(_owed("p2"), fen=fen)
        filed = replace(first, lines=(_owed("p1"), strange), captured=True, filed=True)
        placement = books.place(filed)
        assert isinstance(placement, Placement)
        books.write(filed, placement)
        ids.append(placement.lines[1].line_id)
    assert ids == ["WECHAT-O1/x2", "WECHAT-O1/x4", "WECHAT-O1/x2"]
    assert books.placed == 26_000 + 100 + 200


def _owed(person: str) -> OrderLine:
    return OrderLine(person, 2020, Insurance.MEDICAL, 26000)
