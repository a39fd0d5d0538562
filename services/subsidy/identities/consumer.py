"""Registration's people: their sealed identity lies in ``private`` when this runs; index its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.subsidy.identities.handlers import index_person
from shared.contracts.registration import PersonRegisteredV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait
from shared.security.vault import Vault


class IndexPeople:
    """人员登记 -> 身份索引."""

    name = "identities.index"
    handles: tuple[type[msgspec.Struct], ...] = (PersonRegisteredV1,)

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Nothing for an erased person or one without a number yet (newborns)."""
        person_id = recorded.event.person_id
        identity = (await self._vault.identities(connection, (person_id,))).get(person_id)
        if identity is None or not identity.number:
            return []
        caused = Metadata(recorded.metadata.correlation, recorded.event_id)
        return [index_person(person_id, identity.number, self._vault, caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's messages stay in order."""
        return str(recorded.event.person_id)
