"""Settings of registration."""

from __future__ import annotations

from pathlib import Path

from shared.policy import Pack, load_file, load_packs
from shared.web.settings import ServiceSettings


class RegistrationSettings(ServiceSettings):
    """The common settings; ``LIANGXIAN_PACKS`` names a folder of further packs (D-59)."""


def held_packs(folder: Path | None) -> tuple[Pack, ...]:
    """Shipped packs and those of the folder; several versions of one id may be held (revisions).

    Raises PackInvalidError for a file that is none.
    """
    own = [] if folder is None else [load_file(path) for path in sorted(folder.glob("*.yaml"))]
    return tuple({pack.digest: pack for pack in (*load_packs().values(), *own)}.values())
