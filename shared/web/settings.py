"""Settings every service reads from the environment, prefix ``LIANGXIAN_`` (环境变量)."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class BrokerKind(StrEnum):
    """Which adapter of the broker port carries messages."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


class Role(StrEnum):
    """What a process does: answer requests, run projections, relays and consumers, or both."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


class ServiceSettings(BaseSettings):
    """The common part; a service's ``settings.py`` derives from it.

    database_url: ``postgresql://`` of the service's own database, role allowed to run; migrate_url: role
    allowed to change the schema (``database_url`` when empty).
    broker_url: PostgreSQL address of the embedded broker or ``host:port`` of Kafka.
    traces_url: OTLP/HTTP address that spans go to, none when empty; traces_share: how many of the traces that begin
    here are sampled, 0 to 1 (a caller's ``traceparent`` says itself whether it is).
    rehearsal: only with it may the clock be simulated. epoch is raised after a restore.
    """

    model_config = SettingsConfigDict(env_prefix="LIANGXIAN_", extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr = SecretStr("")
    migrate_url: SecretStr = SecretStr("")
    broker: BrokerKind = BrokerKind.EMBEDDED
    broker_url: SecretStr = SecretStr("")
    keys: Path = Path("keys.json")
    organisations: Path | None = None
    issuer_url: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    roles: Role = Role.ALL
    rehearsal: bool = False
    rehearsal_start: dt.date = dt.date(2016, 1, 1)
    log_level: str = "INFO"
    traces_url: str = ""
    traces_share: float = Field(default=0.01, ge=0.0, le=1.0)
    packs: Path | None = None
    database_pool: int = Field(default=12, ge=4)
    queue_size: int = Field(default=512, ge=1)
    request_limit_bytes: int = Field(default=1 << 20, ge=1024)
    import_limit_bytes: int = Field(default=512 << 20, ge=1024)

    @property
    def serves(self) -> bool:
        """True when this process answers business requests."""
        return self.roles is not Role.WORKER

    @property
    def works(self) -> bool:
        """True when this process runs projections, reactions, relay and consumer."""
        return self.roles is not Role.API
