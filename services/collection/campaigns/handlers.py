"""Commands on packs and campaigns: one builder each, used by routes and reactions alike."""

from __future__ import annotations

import datetime as dt

from services.collection.campaigns import domain as d
from services.collection.campaigns.stream import campaign_stream, pack_stream
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.policy.pack import Pack
from shared.policy.registry import PackRegistry

UNKNOWN_PACK = Refusal(
    "NOT_FOUND", "PACK", field="pack_id", message="本服务没有这个政策包 / this service holds no such pack"
)


class Campaigns:
    """Decides on packs and campaigns. ``packs``: what this process holds."""

    def __init__(self, store: Store, packs: PackRegistry) -> None:
        self._store = store
        self._packs = packs

    async def draft(
        self, command: d.DraftPack, version: int | None, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Propose a pack; ``version`` None means the newest held."""
        pack = self._held(command.pack_id, version)
        if pack is None:
            return UNKNOWN_PACK
        stream = pack_stream(pack.id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = d.draft_pack(loaded.state(stream), command, pack)
            if isinstance(events, Refusal):
                return events
            response = {"pack_id": pack.id, "version": pack.version, "digest": pack.digest}
            return Accepted([Append(stream, events)], response=response)

        return await self._store.execute(Command("draft_pack", [stream], decide, metadata, key))

    async def publish(
        self, command: d.PublishPack, version: int | None, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Publish a drafted pack for a campaign."""
        pack = self._held(command.pack_id, version)
        if pack is None:
            return UNKNOWN_PACK
        stream = pack_stream(pack.id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = d.publish_pack(loaded.state(stream), command, pack)
            if isinstance(events, Refusal):
                return events
            response = {
                "pack_id": pack.id, "version": pack.version, "digest": pack.digest,
                "campaign": command.campaign,
            }  # fmt: skip
            return Accepted([Append(stream, events)], response=response, status=200)

        return await self._store.execute(Command("publish_pack", [stream], decide, metadata, key))

    async def revise(
        self, command: d.RevisePack, version: int | None, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Put a later version in force in an open campaign (D-06, scenario 14)."""
        pack = self._held(command.pack_id, version)
        if pack is None:
            return UNKNOWN_PACK
        stream, campaign = pack_stream(pack.id), campaign_stream(command.campaign)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            decided = d.revise_pack(loaded.state(stream), loaded.state(campaign), command, pack)
            if isinstance(decided, Refusal):
                return decided
            response = {"pack_id": pack.id, "version": pack.version, "campaign": command.campaign}
            appends = [Append(stream, decided[0]), Append(campaign, decided[1])]
            return Accepted(appends, response=response, status=200)

        return await self._store.execute(Command("revise_pack", [stream, campaign], decide, metadata, key))

    async def open(
        self, command: d.OpenCampaign, version: int | None, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Start a campaign (集中征缴启动)."""
        pack = self._held(command.pack_id, version)
        if pack is None:
            return UNKNOWN_PACK
        stream, packs = campaign_stream(command.campaign), pack_stream(pack.id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = d.open_campaign(loaded.state(stream), command, loaded.state(packs), pack)
            if isinstance(events, Refusal):
                return events
            response = {
                "campaign": command.campaign, "pack_id": pack.id, "pack_version": pack.version,
                "pack_digest": pack.digest,
            }  # fmt: skip
            return Accepted([Append(stream, events)], response=response)

        return await self._store.execute(Command("open_campaign", [stream, packs], decide, metadata, key))

    async def extend(self, command: d.ExtendWindow, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Extend the window."""
        stream = campaign_stream(command.campaign)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = d.extend_window(loaded.state(stream), command)
            if isinstance(events, Refusal):
                return events
            response = {"campaign": command.campaign, "window_to": command.new_end.isoformat()}
            return Accepted([Append(stream, events)], response=response, status=200)

        return await self._store.execute(Command("extend_window", [stream], decide, metadata, key))

    async def assign_targets(
        self, command: d.AssignTargets, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Assign a task table."""
        stream = campaign_stream(command.campaign)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            state = loaded.state(stream)
            opened = state.opened
            if opened is None:
                return Refusal(
                    "NO_CAMPAIGN", field="campaign", message="没有这个征缴工作 / no such campaign is open"
                )
            pack = self._packs.exactly(opened.pack_id, state.pack_version, state.pack_digest)
            if pack is None:
                return Refusal("PACK_MISMATCH", field="campaign")
            events = d.assign_targets(state, command, pack)
            if isinstance(events, Refusal):
                return events
            response = {"campaign": command.campaign, "rows": len(events)}
            return Accepted([Append(stream, events)], response=response)

        return await self._store.execute(Command("assign_targets", [stream], decide, metadata, key))

    def begin_day_command(
        self, campaign: str, day: dt.date, metadata: Metadata, key: IdempotencyKey
    ) -> Command:
        """Move a campaign's phase on a business day, or close it."""
        stream = campaign_stream(campaign)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            state = loaded.state(stream)
            opened = state.opened
            if opened is None:
                return Accepted()
            pack = self._packs.exactly(opened.pack_id, state.pack_version, state.pack_digest)
            if pack is None:
                return Refusal("PACK_MISMATCH", field="campaign")
            return Accepted([Append(stream, d.begin_day(state, campaign, day, pack))])

        return Command("begin_campaign_day", [stream], decide, metadata, key)

    def _held(self, pack_id: str, version: int | None) -> Pack | None:
        return self._packs.newest(pack_id) if version is None else self._packs.version(pack_id, version)
