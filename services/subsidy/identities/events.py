"""Events of stream ``process:identity-index:{person}``."""

from __future__ import annotations

from shared.kernel.events import Event


class PersonIndexed(Event, frozen=True, kw_only=True):
    """身份索引建立: the number's blind index is a guard row whose holder is the person; never the number."""

    person_id: str
    indexes: int


EVENTS: tuple[type[Event], ...] = (PersonIndexed,)
