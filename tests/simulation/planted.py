"""Bugs to be found: each switches off, for a while, one thing the foundation promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import msgspec

from services.collection.assessment.consumer import NoteEntitlements
from services.collection.payments import domain as payments
from shared.eventstore.commands import Page
from shared.eventstore.decision import BatchDecider
from shared.eventstore.log import Proposal, Verdict
from shared.eventstore.memory import _MemoryTransaction
from shared.messaging import relay_letters
from shared.messaging.consumer import Consumer
from shared.messaging.cursor import move_cursor
from shared.messaging.relay import CURSOR, Relay

Plant = Callable[[], Any]


@contextmanager
def cursor_before_acknowledgement() -> Iterator[None]:
    """The relay moves its cursor first and publishes then: what is not acknowledged is never sent again."""
    told = Relay._publish

    async def publish_page(self: Relay, cursor: int, to: int, page: Sequence[Any]) -> None:
        outbound = await self._publications.outgoing(page, self._database)
        screened = relay_letters.screen(outbound, page, set(self._blocked))
        async with self._database.begin() as connection:
            await move_cursor(connection, CURSOR, cursor, to)
        self._moved(to, screened, set(self._blocked))
        await told(self, screened, set(self._blocked))

    with mock.patch.object(Relay, "_publish_page", publish_page):
        yield


@contextmanager
def offset_before_effect() -> Iterator[None]:
    """The consumer commits its offset, then books the page: who dies in between never gets it again."""
    told = Consumer._book

    async def book(self: Consumer, subscription: Any, batches: Sequence[Any]) -> int:
        real = self._store

        class Apart:
            async def execute_page(self, page: Page) -> Any:
                await real.execute_page(Page((), page.effects, ()))
                return await real.execute_page(Page((), None, page.blind))

        self._store = Apart()  # type: ignore[assignment]
        try:
            return await told(self, subscription, batches)
        finally:
            self._store = real

    with mock.patch.object(Consumer, "_book", book):
        yield


@contextmanager
def equal_keys_not_merged() -> Iterator[None]:
    """Two commands with one idempotency key in one batch are both decided."""
    told = BatchDecider.known

    def known(self: BatchDecider, task: Any) -> bool:
        self._keys.clear()
        return told(self, task)

    with mock.patch.object(BatchDecider, "known", known):
        yield


@contextmanager
def no_compare_and_set() -> Iterator[None]:
    """An append does not ask whether the streams are where the decision saw them."""
    told = _MemoryTransaction.append

    async def append(self: _MemoryTransaction, proposal: Proposal) -> Verdict:
        proposal.expected = []
        return await told(self, proposal)

    with mock.patch.object(_MemoryTransaction, "append", append):
        yield


def _judged_on(changed: Callable[..., tuple[Any, ...]]) -> Any:
    """Payment lines are judged on something else than what is known."""
    told = payments._judge
    return mock.patch.object(payments, "_judge", lambda *given: told(*changed(*given)))


def death_does_not_stop_payment() -> Any:
    """What is known of deaths is not looked at when a payment is asked for."""

    def undead(*given: Any) -> tuple[Any, ...]:
        *order, state, due, campaign, pack, known = given
        alive = msgspec.structs.replace(state, died_on=None)
        return *order, alive, due, campaign, pack, msgspec.structs.replace(known, deaths={})

    return _judged_on(undead)


def refused_amount_is_paid() -> Any:
    """An amount that nobody assessed counts as what is owed."""

    def owed(order: Any, line: Any, line_id: str, field: str, state: Any, due: Any, *rest: Any) -> Any:
        return order, msgspec.structs.replace(line, fen=due.personal_fen), line_id, field, state, due, *rest

    return _judged_on(owed)


@contextmanager
def relisted_is_not_assessed() -> Iterator[None]:
    """Another category than that of the first list leaves the amount as it was."""
    told = NoteEntitlements.react

    async def react(self: NoteEntitlements, recorded: Any, connection: Any) -> Any:
        commands = await told(self, recorded, connection)
        return commands if recorded.event.category == "MINIMUM_LIVING" else []

    with mock.patch.object(NoteEntitlements, "react", react):
        yield


PLANTED_IN_A_VILLAGE: dict[str, Plant] = {
    "death does not stop payment": death_does_not_stop_payment,
    "refused amount is paid": refused_amount_is_paid,
    "re-listed is not assessed": relisted_is_not_assessed,
}

PLANTED: dict[str, Plant] = {
    "cursor before acknowledgement": cursor_before_acknowledgement,
    "offset before effect": offset_before_effect,
    "equal keys not merged": equal_keys_not_merged,
    "no compare-and-set": no_compare_and_set,
}
