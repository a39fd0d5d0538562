"""The packs a process holds: the shipped ones and the operator's own files (D-59).

A folder may get files while the process runs (a revision in mid-campaign, next year's plan): a pack that is asked
for and not held is looked for once more when the folder has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.kernel.division import campaign_id, within
from shared.policy.loading import PackInvalidError, load_file, load_packs
from shared.policy.pack import Pack

_Listing = tuple[tuple[str, int, int], ...]


class PackRegistry:
    """Packs by id and version; several versions of one id may be held at once (revisions)."""

    def __init__(self, packs: Iterable[Pack], folder: Path | None = None) -> None:
        """Raises ValueError when two contents claim one id and version."""
        self._packs: dict[tuple[str, int], Pack] = {}
        self._folder = folder
        self._seen: _Listing = ()
        self.faults: dict[str, str] = {}
        for pack in packs:
            known = self._packs.setdefault((pack.id, pack.version), pack)
            if known.digest != pack.digest:
                raise ValueError(f"two different packs are {pack.id} version {pack.version}")

    def __iter__(self) -> Iterator[Pack]:
        return iter(tuple(self._packs.values()))

    def newest(self, pack_id: str) -> Pack | None:
        """The highest version held of an id."""
        self.look_again()
        versions = [pack for pack in self if pack.id == pack_id]
        return max(versions, key=lambda pack: pack.version, default=None)

    def version(self, pack_id: str, version: int) -> Pack | None:
        """One version of an id."""
        found = self._packs.get((pack_id, version))
        if found is None and self.look_again():
            found = self._packs.get((pack_id, version))
        return found

    def exactly(self, pack_id: str, version: int, digest: str) -> Pack | None:
        """The pack only when id, version and digest agree; None is a PACK_MISMATCH."""
        pack = self.version(pack_id, version)
        return pack if pack is not None and pack.digest == digest else None

    def covering(self, division: str, year: int) -> Pack | None:
        """The pack of an insured year whose region holds the division: the narrowest, newest version."""
        found = self._covering(division, year)
        if found is None and self.look_again():
            found = self._covering(division, year)
        return found

    def of_campaign(self, campaign: str) -> Pack | None:
        """The newest pack whose own campaign this is: same region, same year; for before it is opened."""
        found = self._of_campaign(campaign)
        if found is None and self.look_again():
            found = self._of_campaign(campaign)
        return found

    def look_again(self) -> bool:
        """Read the folder's new files; True when a pack was found. A faulty file is kept in ``faults``."""
        if self._folder is None:
            return False
        files = sorted(self._folder.glob("*.yaml"))
        listing = tuple((path.name, (stat := path.stat()).st_mtime_ns, stat.st_size) for path in files)
        if listing == self._seen:
            return False
        self._seen = listing
        found = False
        self.faults = {}
        for path in files:
            try:
                pack = load_file(path)
            except (PackInvalidError, OSError, UnicodeDecodeError) as error:
                self.faults[path.name] = str(error)
                continue
            known = self._packs.setdefault((pack.id, pack.version), pack)
            if known.digest != pack.digest:
                self.faults[path.name] = f"{pack.id} version {pack.version} is held with other content"
            found = found or known is pack
        return found

    def _covering(self, division: str, year: int) -> Pack | None:
        found = [
            pack for pack in self if pack.insured_year == year and within(division, pack.region.division)
        ]
        return max(found, key=lambda pack: (len(pack.region.division), pack.id, pack.version), default=None)

    def _of_campaign(self, campaign: str) -> Pack | None:
        found = [pack for pack in self if campaign_id(pack.region.division, pack.insured_year) == campaign]
        return max(found, key=lambda pack: (pack.version, pack.id), default=None)


def open_registry(folder: Path | None) -> PackRegistry:
    """Shipped packs and every ``*.yaml`` of a folder. Raises PackInvalidError for a faulty file."""
    registry = PackRegistry(load_packs().values(), folder)
    registry.look_again()
    if registry.faults:
        name, fault = next(iter(sorted(registry.faults.items())))
        raise PackInvalidError(f"{name}: {fault}")
    return registry
