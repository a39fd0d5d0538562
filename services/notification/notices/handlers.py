"""Commands on notices: built here once, executed by the routes and by reactions alike."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.notification.notices import domain
from services.notification.notices.publishing import Publish, publish
from services.notification.notices.stream import notice, publication
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.division import parse_campaign
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.policy import Pack


def _accepted(stream: Stream[Any], decision: Decision, response: Any) -> Accepted | Refusal:
    if isinstance(decision, Refusal):
        return decision
    appends = (Append(stream, decision),) if decision else ()
    return Accepted(appends, response=response, status=201 if decision else 200)


def start_notice(command: domain.StartNotice, today: dt.date, metadata: Metadata) -> Command:
    """开始公示."""
    stream = notice(command.notice_id, parse_campaign(command.campaign)[1])

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.start_notice(loaded.state(stream), command, today)
        return _accepted(stream, decision, {"notice_id": command.notice_id})

    return Command("start_notice", (stream,), decide, metadata)


def raise_objection(
    notice_id: str,
    year: int,
    command: domain.RaiseObjection,
    metadata: Metadata,
    key: IdempotencyKey | None = None,
) -> Command:
    """提出异议."""
    stream = notice(notice_id, year)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        number = domain.objection_number(notice_id, len(state.objections) + 1)
        return _accepted(stream, domain.raise_objection(state, notice_id, command), {"objection_id": number})

    return Command("raise_objection", (stream,), decide, metadata, key)


def receive_resolution(
    notice_id: str, campaign: str, objection_id: str, outcome: str, metadata: Metadata
) -> Command:
    """异议处理结果收悉."""
    stream = notice(notice_id, parse_campaign(campaign)[1])

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.receive_resolution(loaded.state(stream), notice_id, objection_id, outcome)
        return _accepted(stream, decision, None)

    return Command("receive_resolution", (stream,), decide, metadata)


def close_notice(
    notice_id: str, campaign: str, today: dt.date, metadata: Metadata, key: IdempotencyKey | None = None
) -> Command:
    """结束公示."""
    stream = notice(notice_id, parse_campaign(campaign)[1])

    def decide(loaded: Loaded) -> Accepted | Refusal:
        return _accepted(stream, domain.close_notice(loaded.state(stream), notice_id, today), None)

    return Command("close_notice", (stream,), decide, metadata, key)


def publish_command(
    command: Publish, pack: Pack, today: dt.date, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """上年度缴费情况公示、资助名单公示."""
    stream = publication(command.publication_id, parse_campaign(command.campaign)[1])

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = publish(loaded.state(stream), command, pack, today)
        return _accepted(stream, decision, {"publication_id": command.publication_id})

    return Command("publish_to_village", (stream,), decide, metadata, key)


class Notices:
    """What the routes call."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def raise_objection(
        self,
        notice_id: str,
        year: int,
        command: domain.RaiseObjection,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """Refusals: NOTICE_UNKNOWN, NOTICE_CLOSED, CLAIM_UNKNOWN."""
        return await self._store.execute(raise_objection(notice_id, year, command, metadata, key))

    async def publish(
        self, command: Publish, pack: Pack, today: dt.date, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Refusals: STEP_NOT_IN_PLAN."""
        return await self._store.execute(publish_command(command, pack, today, metadata, key))
