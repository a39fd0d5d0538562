"""Random interleavings on one village (issue 5 §2): payments, refusals, deaths, re-lists and crashes, in any order.

Beside the simulation, which draws faults at every await of a fixed campaign: here the acts themselves are drawn, a
model says what each must answer, and after every one of them the audit must find every I-nn kept.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from deploy.rehearsal.clients import SERVICES
from shared.messaging.memory import MemoryBroker
from shared.testing.messaging import join
from tests.e2e.scene import CAMPAIGN, DEPARTMENTS, MEDICAL_FEN, Payer, Scene, scene
from tests.simulation.planted import PLANTED_IN_A_VILLAGE

EXAMPLES = int(os.environ.get("LIANGXIAN_MODEL_EXAMPLES", "8"))
"""How many drawn histories a run of the suite tries."""

STEPS = 12
"""Acts of a history at most."""

FIRST = dt.date(2019, 11, 2)
LAST = dt.date(2019, 12, 15)
PEOPLE = (
    Payer("adult", tier_yuan=300),
    Payer("neighbour", dt.date(1981, 2, 3)),
    Payer("listed", dt.date(1969, 8, 2), lists=(("CIVIL_AFFAIRS", "MINIMUM_LIVING"),)),
)
NAMES = tuple(payer.name for payer in PEOPLE)
CATEGORIES = {"CIVIL_AFFAIRS": "SEVERELY_DISABLED", "DISABLED_FEDERATION": "SEVERELY_DISABLED"}

T = TypeVar("T")
names = st.sampled_from(NAMES)
crashes = st.none() | st.tuples(st.sampled_from(SERVICES), st.integers(0, 12))
"""Which service dies after how many steps of all of them, in the middle of what an act causes."""


class Village(RuleBasedStateMachine):
    """One village, its day and what the model knows of it."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._scene: Scene | None = None
        self._today = FIRST
        self._orders = 0
        self._lives = 1
        self._workers = {name: f"{name}-1" for name in SERVICES}
        self._paid: dict[tuple[str, str], str] = {}
        self._dead: set[str] = set()
        self._relisted: set[tuple[str, str]] = set()
        self._owed = {payer.name: 0 if payer.lists else MEDICAL_FEN for payer in PEOPLE}
        self._lost: tuple[str, int] | None = None

    @property
    def village(self) -> Scene:
        """Opened by the first rule."""
        assert self._scene is not None
        return self._scene

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """An act, and all it causes."""
        return self._runner.run(work)

    @initialize()
    def opened(self) -> None:
        """A campaign that collects."""
        self._scene = self.do(self._open.enter_async_context(scene(*PEOPLE)))
        self._drain = self._scene.system.drain
        self._scene.system.drain = self._interrupted  # type: ignore[method-assign]
        self.do(self._scene.day(self._today))

    async def _interrupted(self) -> None:
        """Everything comes to rest; if one is to die, it does so after so many steps and is started again."""
        lost, self._lost = self._lost, None
        if lost is not None:
            name, left = lost
            network = self.village.system.network
            assert isinstance(network.broker, MemoryBroker)
            for step in self.village.system.steps[:left]:
                await step.run_once()
            member, self._lives = network.services[name].member, self._lives + 1
            network.broker.evict(name, self._workers[name])
            self._workers[name] = f"{name}-{self._lives}"
            network.services[name] = join(member, network.broker, self._workers[name])
        await self._drain()

    # -- acts ---------------------------------------------------------------------------------------------

    @rule(name=names, pension=st.booleans(), crash=crashes)
    def pays(self, name: str, pension: bool, crash: tuple[str, int] | None) -> None:
        """By WeChat, asked before: taken once from the living, refused to the paid, to those known dead and from
        whoever owes nothing."""
        insurance = "pension" if pension and name == "adult" else "medical"
        self._orders += 1
        self._lost = crash
        moment, order_no = f"{self._today}T20:15", f"W-{self._orders}"
        lines = self.do(self.village.lines(name, insurance))
        owed = sum(line["fen"] for line in lines)
        if not owed:
            self._refused(name, MEDICAL_FEN)
            return
        answer = self.do(self.village.online(name, moment, order_no, insurance))
        free = (name, insurance) not in self._paid and name not in self._dead and owed > 0
        assert (answer["state"] == "TAKEN") is free, (answer, self._paid, self._dead, owed)
        if free:
            self._paid[name, insurance] = order_no

    @rule(name=names, excess=st.sampled_from((-1, 1, 10_000)))
    def pays_what_nobody_assessed(self, name: str, excess: int) -> None:
        """Refused, whatever else is the matter; nothing is written."""
        self._refused(name, MEDICAL_FEN + excess)

    def _refused(self, name: str, fen: int) -> None:
        self._orders += 1
        line = {"person_id": self.village.persons[name], "year": 2020, "insurance": "medical"}
        body = {
            "order_no": f"X-{self._orders}",
            "channel": "WECHAT",
            "paid_at": f"{self._today}T09:00:00+08:00",
            "lines": [{**line, "amount_fen": fen}],
        }
        answer = self.do(self.village.ask("channel-wechat", "collection", "/payments", body))
        assert 400 <= answer.status < 500, answer

    @precondition(lambda self: len(self._dead) < len(NAMES) - 1)
    @rule(name=names, days=st.integers(0, 40), crash=crashes)
    def dies(self, name: str, days: int, crash: tuple[str, int] | None) -> None:
        """Learned today, died up to forty days before: payments since then are found."""
        if name in self._dead:
            return
        self._lost = crash
        died = max(self._today - dt.timedelta(days=days), dt.date(2019, 10, 2))
        self.do(self.village.outside_death(self.village.persons[name], died, self._today))
        self._dead.add(name)

    @rule(name=names, department=st.sampled_from(sorted(CATEGORIES)), crash=crashes)
    def is_listed_again(self, name: str, department: str, crash: tuple[str, int] | None) -> None:
        """By another department, or by the same for another reason; verified at once."""
        if (name, department) in self._relisted:
            return
        self._relisted.add((name, department))
        self._lost = crash
        if (name, "medical") not in self._paid:
            self._owed[name] = 0
        self.do(self._list(name, department))

    async def _list(self, name: str, department: str) -> None:
        village, who = self.village, DEPARTMENTS[department]
        list_id = f"L-{department}-{name}"
        body = {
            "list_id": list_id,
            "department": department,
            "category": CATEGORIES[department],
            "insurance": "medical",
            "campaign": CAMPAIGN,
            "stamped_total": 1,
            "lines": [{"line_no": 1, "name": "示例", "number": village._numbers[name]}],
        }
        await village.post(who, "subsidy", "/lists", body)
        await village.post(who, "subsidy", f"/lists/{list_id}:verify", {"stamp": "章-01", "count": 1})

    @precondition(lambda self: self._today < LAST)
    @rule(crash=crashes)
    def the_day_ends(self, crash: tuple[str, int] | None) -> None:
        """WeChat's file of the day, what is issued goes into the treasury the next day, refunds are paid."""
        self._lost = crash
        today, self._today = self._today, self._today + dt.timedelta(days=1)
        self.do(self.village.day_file(today))
        self.do(self.village.into_treasury(today))
        self.do(self.village.refunds(self._today))

    @rule(service=st.sampled_from(SERVICES))
    def everything_is_sent_again(self, service: str) -> None:
        """A service publishes its whole log once more: nobody does anything twice."""
        before = self._positions()
        self.do(self.village.resend(service))
        assert self._positions() == before

    def _positions(self) -> dict[str, int]:
        services = self.village.system.services
        return {name: len(services[name].parts.log.rows) for name in SERVICES}

    # -- what must hold -----------------------------------------------------------------------------------

    @invariant()
    def everything_is_kept(self) -> None:
        """Every I-nn; every fen accounted for; each payment that was accepted there once, and no other."""
        if self._scene is not None:
            self._audit(replayed=False)

    @invariant()
    def the_living_owe_what_their_lists_say(self) -> None:
        """Personal amount of the medical insurance: 0 once who had not paid was listed as severely disabled
        (002:L71-77, I-11), else the standard. What was paid before stays as it was (I-12)."""
        if self._scene is not None:
            for name in NAMES:
                lines = self.do(self.village.lines(name, "medical"))
                if name not in self._dead:
                    assert [line["fen"] for line in lines] == [self._owed[name]], (name, self._relisted)

    def _audit(self, *, replayed: bool) -> None:
        report = self.do(self.village.audited(replayed=replayed))
        violated = {each.id: each.details for each in report.invariants if each.violations}
        assert violated == {}, violated
        money = (report.unaccounted_fen, report.difference_fen, report.broken)
        assert money == (0, 0, ()), money
        assert [each for each in report.projections if each.differences] == []
        received = self.do(self.village.published("collection", "payment_received"))
        assert sorted(row["order_no"] for row in received) == sorted(self._paid.values()), received

    def teardown(self) -> None:
        """Every read model equals its replay; the loop goes with it."""
        try:
            self._audit(replayed=True)
        finally:
            self.do(self._open.aclose())
            self._runner.close()


def _tried(examples: int) -> None:
    """So many drawn histories, the same each time. Raises for the first that is not as it must be."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Village,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            phases=[Phase.generate],
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(300)
def test_whatever_happens_in_a_village_every_invariant_is_kept() -> None:
    """Drawn acts in a drawn order, some of them cut by a crash."""
    _tried(EXAMPLES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PLANTED_IN_A_VILLAGE)
def test_a_planted_mistake_is_noticed(name: str) -> None:
    """A model that accepts everything would prove nothing: no more histories than a run of the suite tries show it."""
    with PLANTED_IN_A_VILLAGE[name](), pytest.raises(AssertionError):
        _tried(EXAMPLES)
