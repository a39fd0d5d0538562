"""Settings of registration."""

from __future__ import annotations

from shared.web.settings import ServiceSettings


class RegistrationSettings(ServiceSettings):
    """The common settings; ``LIANGXIAN_PACKS`` names a folder of further packs (D-59)."""
