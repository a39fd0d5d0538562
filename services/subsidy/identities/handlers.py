"""Index a person, find persons by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.subsidy.identities.events import PersonIndexed
from services.subsidy.identities.stream import identity_index
from shared.eventstore.commands import Accepted, Append, Command, Guard, Loaded, Store
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.security.vault import Vault

GUARD = "identity"
_TAKEN = Refusal("IDENTITY_TAKEN", rule="I-03", field="number", message="证件号已登记 / number is taken")


def index_person(person_id: str, number: str, vault: Vault, metadata: Metadata) -> Command:
    """建立身份索引. A second message about the same person adds nothing."""
    stream = identity_index(person_id)
    index = vault.blind_index(number)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        if loaded.version(stream):
            return Accepted()
        return Accepted(
            (Append(stream, [PersonIndexed(person_id=person_id, indexes=1)]),),
            (Guard(GUARD, index, person_id, _TAKEN),),
        )

    return Command("index_person", (stream,), decide, metadata)


async def find_persons(store: Store, vault: Vault, numbers: Sequence[str]) -> Mapping[str, str]:
    """Person per number, for the numbers this service knows (under any index key still held)."""
    indexes = {number: vault.blind_indexes(number) for number in dict.fromkeys(numbers)}
    holders = await store.guard_holders(GUARD, [index for many in indexes.values() for index in many])
    return {
        number: holders[index]
        for number, many in indexes.items()
        for index in reversed(many)
        if index in holders
    }
