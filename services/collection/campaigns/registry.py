"""The packs this process holds: the shipped ones and the operator's own files (D-59)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.kernel.division import within
from shared.policy.loading import load_file, load_packs
from shared.policy.pack import Pack


class PackRegistry:
    """Packs by id and version; several versions of one id may be held at once (revisions)."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        self._packs: dict[tuple[str, int], Pack] = {}
        for pack in packs:
            known = self._packs.setdefault((pack.id, pack.version), pack)
            if known.digest != pack.digest:
                raise ValueError(f"two different packs are {pack.id} version {pack.version}")

    def __iter__(self) -> Iterator[Pack]:
        return iter(self._packs.values())

    def newest(self, pack_id: str) -> Pack | None:
        """The highest version held of an id."""
        versions = [pack for pack in self if pack.id == pack_id]
        return max(versions, key=lambda pack: pack.version, default=None)

    def version(self, pack_id: str, version: int) -> Pack | None:
        """One version of an id."""
        return self._packs.get((pack_id, version))

    def exactly(self, pack_id: str, version: int, digest: str) -> Pack | None:
        """The pack only when id, version and digest agree; None is a PACK_MISMATCH."""
        pack = self._packs.get((pack_id, version))
        return pack if pack is not None and pack.digest == digest else None

    def covering(self, division: str, year: int) -> Pack | None:
        """The pack of an insured year whose region holds the division: the narrowest, newest version."""
        found = [
            pack for pack in self if pack.insured_year == year and within(division, pack.region.division)
        ]
        return max(found, key=lambda pack: (len(pack.region.division), pack.id, pack.version), default=None)


def open_registry(directory: Path | None) -> PackRegistry:
    """Shipped packs and every ``*.yaml`` of a directory. Raises PackInvalidError for a faulty file."""
    own = [] if directory is None else [load_file(path) for path in sorted(directory.glob("*.yaml"))]
    return PackRegistry([*load_packs().values(), *own])
