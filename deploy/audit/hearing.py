"""One pass over each log: a row is read once and told to everybody who asked for its type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from deploy.audit.evidence import Row
from deploy.audit.tally import Invariant, Scope, Tally
from shared.policy import Pack
from shared.policy.registry import PackRegistry

ORDER = ("notification", "subsidy", "collection", "registration")
"""In which the logs are heard: a row is judged by what was heard before it, or at the end."""

Handler = Callable[[Row], None]
_Method = TypeVar("_Method", bound=Callable[[Any, Row], None])
_MARK = "hears"


def hears(service: str, *types: str) -> Callable[[_Method], _Method]:
    """The method is told each row of the types in a service's log, in the order of the log."""

    def mark(method: _Method) -> _Method:
        vars(method).setdefault(_MARK, []).extend((service, name) for name in types)
        return method

    return mark


class Listener:
    """Somebody with methods that hear."""

    def handlers(self) -> Iterator[tuple[str, str, Handler]]:
        """(service, type, method) of all of them."""
        for name in dir(type(self)):
            method = getattr(type(self), name)
            for service, kind in getattr(method, _MARK, ()):
                yield service, kind, getattr(self, name)


class Campaigns(Listener):
    """The opened campaigns' packs, by campaign id; as they were when the rows now heard were written."""

    def __init__(self, packs: PackRegistry) -> None:
        self._registry = packs
        self.packs: dict[str, Pack] = {}
        self.opened: list[str] = []

    def pack(self, pack_id: str, version: int | None) -> Pack | None:
        """A version of a pack; without one the newest."""
        if version is None:
            return self._registry.newest(pack_id)
        return self._registry.version(pack_id, version)

    @hears("collection", "CampaignOpened", "CampaignPackReplaced")
    def _opened(self, row: Row) -> None:
        campaign = row.data["campaign"]
        if row.type == "CampaignOpened":
            self.opened.append(campaign)
        pack = self.pack(row.data["pack_id"], row.data.get("pack_version"))
        if pack is not None:
            self.packs[campaign] = pack

    def of_year(self, year: int) -> Pack | None:
        """The pack of the one opened campaign of a year."""
        return next((pack for pack in self.packs.values() if pack.insured_year == year), None)

    def years(self) -> set[int]:
        """The insured years of what was opened."""
        return {pack.insured_year for pack in self.packs.values()}

    def distinct(self) -> dict[str, Pack]:
        """The packs by their own id."""
        return {pack.id: pack for pack in self.packs.values()}


class Check(Listener):
    """An invariant: hears rows, counts them in ``tally``, says at the end what was left open."""

    id: ClassVar[str]

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        self.scope = scope
        self.campaigns = campaigns
        self.tally = Tally(self.id, scope)

    def close(self) -> None:
        """All logs were heard: judge what had to wait."""

    def result(self) -> Invariant:
        """After ``close``."""
        return self.tally.result()


class Hearing:
    """Tells rows to listeners; the earlier listener hears a row first."""

    def __init__(self, scope: Scope, listeners: Sequence[Listener]) -> None:
        self._scope = scope
        self._handlers: dict[str, dict[str, list[Handler]]] = {name: defaultdict(list) for name in ORDER}
        for listener in listeners:
            for service, kind, handler in listener.handlers():
                self._handlers[service][kind].append(handler)

    def types(self, service: str) -> list[str]:
        """The types somebody asked for; rows of others need not be read."""
        return sorted(self._handlers[service])

    def hear(self, service: str, rows: Iterable[Row]) -> None:
        """Rows of a service's log, in its order; the services in ``ORDER``."""
        self._scope.enter(service)
        handlers = self._handlers[service]
        for row in rows:
            if row.type in handlers:
                for handler in handlers[row.type]:
                    handler(row)
