"""The one writer task of a process (commands.Store): loads, decides and commits for many commands at once.

Three lanes take turns: single commands (whatever is queued, up to a cap, no linger), pages (a transaction of
their own) and bulk (at most 500 events a lock), so that no lane starves and singles never wait for more than
one page or one bulk slice. While nobody else has anything to do, two batches of singles go abreast (ADR 0056):
one is loaded and decided while the other commits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from shared.eventstore.admission import Admission
from shared.eventstore.batch import (
    event_positions,
    fact_needs,
    joined,
    load_facts,
    needs,
    record_outcome,
    write_rows,
)
from shared.eventstore.commands import Command, Done, FactSource, Lookup, Outcome, Page, Then
from shared.eventstore.decision import (
    CONCURRENT_CHANGE,
    BatchDecider,
    Decided,
    Plan,
    Task,
    TaskGroup,
    decide_batch,
)
from shared.eventstore.log import Failure, KeyId, Log, StreamKey, Verdict
from shared.eventstore.metrics import NoMetrics, WriterMetrics
from shared.eventstore.pages import PageRun, Written
from shared.eventstore.tail import Tail, entries_of
from shared.eventstore.types import EventTypes
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import OVERLOADED, OverloadedError

ROUNDS = 5
"""How often a command that lost a race is decided before CONCURRENT_CHANGE."""

ABREAST = 2
"""Batches of single commands at the database at once: while one commits, the next is loaded and decided."""

WORTH = 16
"""Commands that must wait for a second batch: each batch costs as much as several commands."""

LOOK_SECONDS = 0.25
"""How long a page whose turn has come waits for its decision ahead of it: the lanes stand meanwhile."""


class _UndoneError(Exception):
    """A group with rows lost its race: the transaction is rolled back, the others are decided again."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict


class Writer:
    """See the module and commands.Store.

    queue: single commands in hand at most; beyond it, or beyond what is answered in time (``Admission``),
    OverloadedError. cap: singles in a batch.
    bulk_rows: events a bulk slice writes under one lock. worth: commands for which a second batch starts beside
    one that is at the database. tail: is handed what was committed.
    """

    def __init__(
        self,
        *,
        log: Log,
        clock: Clock,
        runtime: Runtime,
        types: EventTypes,
        metrics: WriterMetrics | None = None,
        tail: Tail | None = None,
        queue: int = 1024,
        cap: int = 256,
        bulk_rows: int = 500,
        worth: int = WORTH,
    ) -> None:
        self.log = log
        self.tail = tail
        self._clock = clock
        self._runtime = runtime
        self._types = types
        self._metrics = metrics or NoMetrics()
        self._admission = Admission(queue)
        self._cap = cap
        self._bulk_rows = bulk_rows
        self._worth = worth
        self._singles: deque[Task] = deque()
        self._bulk: deque[Task] = deque()
        self._pages: deque[PageRun] = deque()
        self._ahead: tuple[PageRun, asyncio.Task[None]] | None = None
        self._since = Written()
        self._wake = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._closing = False
        self._aloft: dict[asyncio.Task[None], list[Task]] = {}
        self._landed_at = float("-inf")
        self._boarding = False  # a batch was started and has not taken its commands yet
        self._held = False  # what waits must do so until a batch has landed
        self._turn = False  # a page's or a bulk slice's
        self.position = 0
        """Last position committed by this process."""
        self._listeners: list[Callable[[int], None]] = []

    async def start(self) -> None:
        """Start the writer task; harmless when it runs."""
        if self._work is None:
            self._closing = False
            self._loop = asyncio.get_running_loop()
            self._work = self._runtime.start(self._run(), "eventstore-writer")

    async def stop(self) -> None:
        """Finish what is queued, then stop. New commands get OverloadedError."""
        self._closing = True
        self._wake.set()
        if self._work is not None:
            await self._work
            self._work = None

    @property
    def alive(self) -> bool:
        """Whether commands are taken: the task runs and is not being stopped. For readiness."""
        return self._work is not None and not self._work.done() and not self._closing

    @property
    def full(self) -> bool:
        """See Store.full."""
        return self._in_hand >= self._admission.room or not self.alive

    @property
    def _in_hand(self) -> int:
        return len(self._singles) + sum(map(len, self._aloft.values()))

    @property
    def busy(self) -> bool:
        """Whether commands or pages wait or are being committed."""
        return self._turn or bool(self._aloft or self._singles or self._pages or self._bulk)

    def subscribe(self, listener: Callable[[int], None]) -> None:
        """Call ``listener`` with the last position after each commit: wakes readers in this process."""
        self._listeners.append(listener)

    async def execute(self, command: Command) -> Outcome:
        """See Store.execute."""
        self._refuse_when_full()
        # The loop is kept: asking for the one that runs asks the system which process this is.
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._submit(command, partial(_resolve, future))
        return await future

    def submit(self, command: Command, then: Then) -> None:
        """See DirectStore.submit."""
        self._refuse_when_full()
        self._submit(command, then)

    def _refuse_when_full(self) -> None:
        if self.full:
            self._metrics.refusal(OVERLOADED)
            raise OverloadedError

    def _submit(self, command: Command, then: Then) -> None:
        self._singles.append(Task(command, then))
        if self._in_hand >= self._admission.room:
            self._admission.filled(self._runtime.monotonic())
        self._take_off()

    async def execute_bulk(self, commands: Sequence[Command]) -> list[Outcome]:
        """See Store.execute_bulk. The first exception of a command is raised when all have been answered."""
        self._check_open()
        if not commands:
            return []
        group = TaskGroup(len(commands), asyncio.get_running_loop().create_future())
        tasks = [Task(command, group.settled) for command in commands]
        self._bulk.extend(tasks)
        self._wake.set()
        await group.done
        outcomes: list[Outcome] = []
        for task in tasks:
            if isinstance(task.answer, Exception):
                raise task.answer
            assert task.answer is not None
            outcomes.append(task.answer)
        return outcomes

    async def execute_page(self, page: Page) -> list[Outcome]:
        """See Store.execute_page. An exception of one command fails the page: nothing of it is written."""
        return await self._run_page(page, preview=False)

    async def preview_page(self, page: Page) -> list[Outcome]:
        """What ``execute_page`` would answer now, with nothing written (positions are 0)."""
        return await self._run_page(page, preview=True)

    async def _run_page(self, page: Page, *, preview: bool) -> list[Outcome]:
        self._check_open()
        run = PageRun(page, asyncio.get_running_loop().create_future(), preview)
        self._pages.append(run)
        self._wake.set()
        if self._turn or self._aloft:
            self._look_ahead()
        return await run.future

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """See Store.guard_holders."""
        return await self.log.guard_holders(kind, keys)

    def _check_open(self) -> None:
        if not self.alive:
            raise OverloadedError

    async def _run(self) -> None:
        """Pages and bulk slices: a turn each, then one batch of singles. Without them singles start their batches."""
        try:
            while True:
                if self._pages or self._bulk:
                    await self._turns()
                    self._take_off()
                elif self._closing:
                    await self._landed()
                    if not self.busy:
                        return
                    self._take_off()
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._abandon()

    async def _turns(self) -> None:
        """Their turn begins before the last batch has landed: whoever is told its answer may ask again at once."""
        self._turn = True
        try:
            await self._landed()
            if self._pages:
                await self._page(self._pages.popleft())
            if self._bulk:
                tasks = self._take(self._bulk, self._bulk_rows)
                await self._batch(tasks, self._bulk, self._bulk_rows)
        finally:
            self._turn = False

    def _take_off(self) -> None:
        """Start a batch of the singles that wait, unless the other lanes have their turn: at once where none is
        aloft, else when it is worth it."""
        aloft, waiting = len(self._aloft), len(self._singles)
        if not waiting or self._boarding or self._turn or aloft >= ABREAST:
            return
        if aloft and (waiting < self._worth or self._held or self._pages or self._bulk):
            return
        self._boarding = True
        self._aloft[self._runtime.start(self._single_batch(), "eventstore-batch")] = []

    async def _landed(self) -> None:
        while self._aloft:
            await asyncio.wait(self._aloft)

    async def _single_batch(self) -> None:
        """What waits, up to the cap; how long it took says how much may wait."""
        batch = asyncio.current_task()
        assert batch is not None
        self._boarding = False
        tasks, started = self._board(), self._runtime.monotonic()
        self._aloft[batch] = tasks
        self._held = not tasks
        self._take_off()
        try:
            if tasks:
                await self._batch(tasks, self._singles, None)
                now = self._runtime.monotonic()
                answered = sum(task.answer is not None for task in tasks)  # not who is asked again
                self._admission.note(answered, now - max(started, self._landed_at), now)
                self._landed_at, self._held = now, False
        finally:
            self._aloft.pop(batch, None)
            if self._pages or self._bulk or self._closing:
                self._wake.set()
            else:
                self._take_off()

    def _board(self) -> list[Task]:
        """What waits, or the half of it when no other batch is aloft and the rest is worth one: answered together, a
        closed loop's callers would come together again, and the process wait for each of their commits. But for what
        touches a stream or key of a batch that is aloft: one of the two would lose, and be decided again. Nothing,
        when too little is left beside that."""
        share = len(self._singles)
        if len(self._aloft) == 1 and share >= 2 * self._worth:
            share = (share + 1) // 2
        tasks = self._take(self._singles, min(share, self._cap))
        touched: set[StreamKey | KeyId] = set()
        for aloft in self._aloft.values():
            touched.update(*needs([task.command for task in aloft]))
        if not touched:
            return tasks
        free: list[Task] = []
        later: list[Task] = []
        for task in tasks:
            apart = touched.isdisjoint(itertools.chain(*needs([task.command])))
            (free if apart else later).append(task)
        if len(free) < self._worth:
            free, later = [], tasks
        self._singles.extendleft(reversed(later))
        return free

    def _look_ahead(self) -> None:
        """Decide the next page while something else commits; one at a time."""
        if self._ahead is None and self._pages and self._pages[0].decidable:
            run = self._pages[0]
            self._since = Written()
            work = run.look_ahead(self.log, self._types, self._clock, self._runtime)
            self._ahead = (run, self._runtime.start(work, "eventstore-ahead"))

    async def _looked_ahead(self, run: PageRun) -> None:
        """The page's turn has come. What went wrong ahead of it comes again in its transaction, or does not."""
        if self._ahead is None or self._ahead[0] is not run:
            return
        work = self._ahead[1]
        try:
            await asyncio.wait([work], timeout=LOOK_SECONDS)
        finally:
            self._ahead = None
            if not work.done():
                work.cancel()
        if work.done() and not work.cancelled() and work.exception() is None:
            run.turn(self._since, self._clock)

    def _abandon(self) -> None:
        """The task ends with work in hand only when it is cancelled: nobody may wait for ever."""
        for task in (*self._singles, *self._bulk):
            task.settle(OverloadedError())
        for run in self._pages:
            run.settle(OverloadedError())
        for batch in self._aloft:
            batch.cancel()
        self._aloft.clear()
        self._boarding = False
        if self._ahead is not None:
            self._ahead[1].cancel()
            self._ahead = None
        self._singles.clear()
        self._bulk.clear()
        self._pages.clear()

    def _take(self, lane: deque[Task], limit: int) -> list[Task]:
        self._metrics.queue_depth(len(self._singles) + len(self._bulk))
        return [lane.popleft() for _ in range(min(limit, len(lane)))]

    async def _batch(self, tasks: list[Task], lane: deque[Task], row_limit: int | None) -> None:
        """One transaction; on an error of the database the batch is retried in halves."""
        try:
            try:
                again = await self._attempt(tasks, row_limit)
            except Exception as error:  # noqa: BLE001 - handed to the caller whose command it is
                await self._isolate(error, [task for task in tasks if task.answer is None], lane, row_limit)
            else:
                lane.extendleft(reversed(again))
        except asyncio.CancelledError:
            for task in tasks:
                if task.answer is None:
                    task.settle(OverloadedError())
            raise

    async def _isolate(
        self, error: Exception, tasks: list[Task], lane: deque[Task], row_limit: int | None
    ) -> None:
        """Find the command that is to blame. Neighbours of a bad one are decided and committed without it."""
        self._since.unknown = True
        failure = self.log.failure(error)
        if failure is Failure.CONNECTION:
            # Nobody knows whether the commit happened: only an idempotency key makes asking again safe.
            for task in tasks:
                task.attempts += 1
                if task.command.key is None or task.attempts > 1:
                    self._answer(task, error)
            lane.extendleft(task for task in reversed(tasks) if task.answer is None)
        elif failure is Failure.TRANSIENT and all(task.attempts < ROUNDS for task in tasks):
            for task in tasks:
                task.attempts += 1
            lane.extendleft(reversed(tasks))
        elif failure is Failure.BUSY or len(tasks) == 1:
            for task in tasks:
                self._answer(task, error)
        elif tasks:
            half = len(tasks) // 2
            await self._batch(tasks[:half], lane, row_limit)
            await self._batch(tasks[half:], lane, row_limit)

    async def _attempt(self, tasks: list[Task], row_limit: int | None) -> list[Task]:
        """Load, decide, commit; answers the tasks to be decided again."""
        started = self._runtime.monotonic()
        decider = await self._prepare(tasks)
        plan = decide_batch(decider, tasks, row_limit)
        for task, answer in plan.answered:
            self._answer(task, answer)
        verdict, raced = await self._commit(plan)
        again = self._settle(plan, verdict, raced)
        if self._ahead is not None:
            self._since.note(plan)
        written = sum(event.group not in verdict.lost for event in plan.proposal.events)
        if written:
            if self.tail is not None and self.tail.followed:
                self.tail.feed(entries_of(plan, verdict))
            elapsed = self._runtime.monotonic() - started
            self._metrics.append_batch(written, elapsed, verdict.lock_wait_seconds)
            self._announce(verdict.first + written - 1)
        return again + plan.deferred + plan.rest

    async def _prepare(self, tasks: Iterable[Task]) -> BatchDecider:
        """Streams, keys and what can be looked up with them in one round trip; other facts beside it."""
        commands = [task.command for task in tasks]
        streams, keys = needs(commands)
        lookups: list[tuple[Lookup, Sequence[Hashable]]] = []
        others: list[tuple[FactSource, Sequence[Hashable]]] = []
        for source, wanted in fact_needs(commands):
            if isinstance(source, Lookup):
                lookups.append((source, wanted))
            else:
                others.append((source, wanted))
        loading = self.log.load(streams, keys, [(source.statement, wanted) for source, wanted in lookups])
        facts: dict[int, Mapping[Any, Any]] = {}
        if others:
            history, facts = await asyncio.gather(loading, self._others(others))
        else:
            history = await loading
        for (source, _), rows in zip(lookups, history.looked_up, strict=True):
            facts[id(source)] = source.facts(rows)
        return BatchDecider(history, facts, self._types, self._clock.now(), self._runtime.new_id)

    async def _others(
        self, needed: Iterable[tuple[FactSource, Sequence[Hashable]]]
    ) -> dict[int, Mapping[Any, Any]]:
        async with self.log.database.read() as connection:
            return await load_facts(connection, needed)

    async def _commit(self, plan: Plan) -> tuple[Verdict, frozenset[int]]:
        """Write the plan; answers the verdict and the groups among the losers that lost a race."""
        rows = plan.rows()
        if not rows:
            if not plan.proposal:
                return Verdict(0), frozenset()
            verdict = await self.log.append(plan.proposal)
            return verdict, _raced(plan, verdict)
        with_rows = {decided.group for decided in plan.decided if decided.rows}
        try:
            async with self.log.transaction() as transaction:
                await write_rows(transaction.connection, rows)
                verdict = await transaction.append(plan.proposal)
                if verdict.lost & with_rows:
                    raise _UndoneError(verdict)
                return verdict, _raced(plan, verdict)
        except _UndoneError as undone:
            everyone = frozenset(decided.group for decided in plan.decided)
            verdict = Verdict(undone.verdict.first, everyone, undone.verdict.taken_guards)
            return verdict, _raced(plan, undone.verdict)

    def _settle(self, plan: Plan, verdict: Verdict, raced: frozenset[int]) -> list[Task]:
        """Answer winners and whoever met a taken guard; the other losers are decided again."""
        positions = event_positions(plan, verdict)
        again: list[Task] = []
        for decided in plan.decided:
            answer = self._final(decided, verdict, raced, positions)
            if answer is None:
                again += [decided.task, *decided.joiners]
                continue
            self._answer(decided.task, answer)
            for joiner in decided.joiners:
                self._answer(joiner, joined(answer))
        return again

    def _final(
        self, decided: Decided, verdict: Verdict, raced: frozenset[int], positions: Sequence[int]
    ) -> Outcome | None:
        answer = decided.outcome
        if decided.group not in verdict.lost:
            if isinstance(answer, Done) and decided.last_event >= 0:
                return Done(answer.response, answer.status, positions[decided.last_event], answer.replayed)
            return answer
        for index, refusal in decided.guards:
            if index in verdict.taken_guards:
                return None if _may_hold_its_guard(decided.task) else refusal
        if decided.group in raced:
            decided.task.attempts += 1
        return CONCURRENT_CHANGE if decided.task.attempts >= ROUNDS else None

    def _answer(self, task: Task, answer: Outcome | Exception) -> None:
        record_outcome(self._metrics, task.command, answer)
        task.settle(answer)

    def _announce(self, position: int) -> None:
        self.position = max(position, self.position)
        for listener in self._listeners:
            listener(position)

    async def _page(self, run: PageRun) -> None:
        started = self._runtime.monotonic()
        try:
            await self._looked_ahead(run)
            self._look_ahead()
            result = await run.execute(self.log, self._types, self._clock, self._runtime)
        except asyncio.CancelledError:
            run.settle(OverloadedError())
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller whose page it is
            self._since.unknown = True
            run.settle(error)
            return
        if self._ahead is not None:
            self._since.note(result.plan, run.page.blind)
        for command, outcome in run.decided:
            record_outcome(self._metrics, command, outcome)
        if result.events:
            if self.tail is not None and self.tail.followed:
                for entries in result.entries():
                    self.tail.feed(entries)
            elapsed = self._runtime.monotonic() - started
            self._metrics.append_batch(result.events, elapsed, result.verdict.lock_wait_seconds)
            self._announce(result.position)
        run.settle(result.outcomes())


def _resolve(future: asyncio.Future[Outcome], answer: Outcome | Exception) -> None:
    """A caller that has gone away is no matter."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _may_hold_its_guard(task: Task) -> bool:
    """Whether the guard may be taken by this very command, committed under its key since the key was looked
    up (by another process, or before a connection broke): asked once, as the next load then finds the key."""
    ask = task.command.key is not None and not task.met_guard
    task.met_guard = True
    return ask


def _raced(plan: Plan, verdict: Verdict) -> frozenset[int]:
    """Lost groups without a taken guard: a guard answers one of them for good, so that is progress."""
    return verdict.lost - {plan.proposal.guards[index].group for index in verdict.taken_guards}
