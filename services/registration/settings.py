"""Settings of registration."""

from __future__ import annotations

from pathlib import Path

from shared.policy import Pack, load_file, load_packs
from shared.web.settings import ServiceSettings


class RegistrationSettings(ServiceSettings):
    """The common settings; ``LIANGXIAN_PACKS`` names a folder of further packs (D-59)."""


def held_packs(folder: Path | None) -> dict[str, Pack]:
    """Shipped packs and those of the folder, by id; a folder's pack replaces a shipped one of its id.

    Raises PackInvalidError for a file that is none.
    """
    packs = load_packs()
    if folder is not None:
        for path in sorted(folder.glob("*.yaml")):
            pack = load_file(path)
            packs[pack.id] = pack
    return packs
