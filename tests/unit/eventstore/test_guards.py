"""A command may bring as many guards as a government payment has lines (I-27, I-28)."""

from __future__ import annotations

import datetime as dt

from shared.eventstore.commands import Accepted, Append, Command, Guard
from shared.eventstore.decision import BatchDecider, Task, decide_batch
from shared.eventstore.log import History
from shared.kernel.errors import Refusal
from tests.contract.eventstore.sample import METADATA, PURSE, TYPES, Paid

LINES = 2_000
TAKEN = Refusal("ALREADY_VOUCHERED")


class Counted(str):
    """A key that counts how often it is held against another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_each_guard_is_not_held_against_all_before_it() -> None:
    """Work grows with the lines, not with their square: sixty thousand of them held a service up for a minute."""
    stream = PURSE.stream("a", era=2020)
    guards = [Guard("line", Counted(f"L{number}"), "voucher", TAKEN) for number in range(LINES)]
    command = Command("pay", [stream], lambda _: Accepted([Append(stream, [Paid(fen=1)])], guards), METADATA)
    decider = BatchDecider(
        History({}, {}), {}, TYPES, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), lambda: "0" * 32
    )
    Counted.compared = 0
    plan = decide_batch(decider, [Task(command, None)])
    assert len(plan.proposal.guards) == LINES
    assert Counted.compared < 10 * LINES


def test_a_guard_asked_for_twice_refuses_its_command() -> None:
    """Nothing of the command is proposed."""
    stream = PURSE.stream("a", era=2020)
    guards = [Guard("line", "L1", "voucher", TAKEN), Guard("line", "L1", "voucher", TAKEN)]
    command = Command("pay", [stream], lambda _: Accepted([Append(stream, [Paid(fen=1)])], guards), METADATA)
    decider = BatchDecider(
        History({}, {}), {}, TYPES, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), lambda: "0" * 32
    )
    plan = decide_batch(decider, [Task(command, None)])
    assert (plan.proposal.guards, plan.proposal.events) == ([], [])
