"""The caller of a request: an organisation's client with scopes and divisions (机构、客户端、权限、区划)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.kernel.division import within


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a verified token speaks for.

    divisions: prefixes of the division codes it may act in; the empty prefix means everything.
    """

    organisation: str
    client_id: str
    scopes: frozenset[str]
    divisions: tuple[str, ...] = ()

    def allows(self, scope: str) -> bool:
        """True when the token carries ``scope``, e.g. ``payments:write``."""
        return scope in self.scopes

    def covers(self, division: str) -> bool:
        """True when ``division`` lies in one of the caller's divisions."""
        return any(within(division, scope) for scope in self.divisions)
