"""Settings of collection."""

from __future__ import annotations

from shared.web.settings import ServiceSettings


class CollectionSettings(ServiceSettings):
    """The common settings; ``LIANGXIAN_PACKS`` names a folder of further packs and versions (D-59)."""
