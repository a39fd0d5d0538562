"""Whatever an agent sums up and deposits, in whatever order: no fen is confirmed without its deposit (I-20)."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from services.collection.settlement import events as s
from services.collection.settlement.domain import (
    Day,
    Deposit,
    Place,
    TakenLine,
    compare,
    correct,
    evolve,
    record_deposit,
    submit_summary,
)
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

DAY = dt.date(2019, 11, 2)
PLACE = Place("370406-2020", "370406101201", "agent-1", DAY)
AMOUNTS = st.sampled_from([26000, 13000, 30000])

take = st.tuples(st.just("take"), AMOUNTS)
summarise = st.tuples(st.just("summary"), st.sampled_from([0, 0, 0, 1, -1000]))
put = st.tuples(st.just("deposit"), st.sampled_from([0, 0, 0, 1, -1, 26000]))
fix = st.tuples(st.just("fix"), st.integers(1, 30000))
steps = st.lists(st.one_of(take, take, summarise, put, fix), max_size=25)


class Agent:
    """A day folded by the domain's own functions."""

    def __init__(self) -> None:
        self.state = Day()
        self.taken: list[TakenLine] = []
        self.slips = 0

    def apply(self, events: list[Event] | Refusal) -> None:
        if not isinstance(events, Refusal):
            for event in events:
                self.state = evolve(self.state, event)

    @property
    def total(self) -> int:
        return sum(line.fen for line in self.taken)

    def step(self, what: str, by: int) -> None:
        book = self.state.book("agent-1", Insurance.MEDICAL)
        if what == "take":
            self.taken.append(TakenLine(f"C/{len(self.taken)}", Insurance.MEDICAL, by))
        elif what == "summary":
            total = s.DayTotal(Insurance.MEDICAL, len(self.taken), max(0, self.total + by))
            self.apply(submit_summary(self.state, PLACE, [total], ("", "")))
        elif what == "deposit":
            fen = self.total - book.deposited_fen + by
            if fen > 0:
                self.slips += 1
                deposit = Deposit(f"S{self.slips}", "agent-1", DAY, Insurance.MEDICAL, fen, DAY)
                self.apply(record_deposit(self.state, PLACE, deposit, "B", "F", "acct"))
        elif book.difference is not None:
            kind = "CORRECTIVE_DEPOSIT" if book.difference[3] < book.difference[1] else "RETURNED_EXCESS"
            self.apply(correct(self.state, PLACE, Insurance.MEDICAL, kind, "", by, ""))
        if what != "take":
            self.apply(compare(self.state, PLACE, self.taken))
            assert compare(self.state, PLACE, self.taken) == [], "saying it twice"


@settings(max_examples=400, deadline=None)
@given(steps)
def test_confirmed_money_was_taken_and_deposited(taken: list[tuple[str, int]]) -> None:
    """Confirmed lines were taken, once each, and at the moment of confirming the deposit equals the receipts."""
    agent = Agent()
    for step in taken:
        before = agent.state.book("agent-1", Insurance.MEDICAL)
        agent.step(*step)
        book = agent.state.book("agent-1", Insurance.MEDICAL)
        ids = {line.line_id for line in agent.taken}
        assert before.confirmed <= book.confirmed <= ids
        if book.confirmed != before.confirmed:
            assert book.confirmed == ids
            assert book.deposited_fen == agent.total
            assert book.summary == (len(ids), agent.total)
            assert book.difference is None
        if book.difference is not None and step[0] != "take":
            assert book.difference[3] - book.difference[1] == book.deposited_fen - agent.total


@settings(max_examples=200, deadline=None)
@given(steps)
def test_an_honest_end_of_the_day_confirms_everything(taken: list[tuple[str, int]]) -> None:
    """However the day went, a right summary and the right deposit settle it completely."""
    agent = Agent()
    for step in taken:
        agent.step(*step)
    if not agent.taken:
        return
    agent.step("summary", 0)
    for _ in range(2):
        book = agent.state.book("agent-1", Insurance.MEDICAL)
        if book.deposited_fen < agent.total:
            agent.step("deposit", 0)
        elif book.deposited_fen > agent.total:
            agent.step("fix", book.deposited_fen - agent.total)
    book = agent.state.book("agent-1", Insurance.MEDICAL)
    if book.deposited_fen == agent.total:
        assert book.confirmed == {line.line_id for line in agent.taken}
        assert book.difference is None
