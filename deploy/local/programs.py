"""The Python processes of the system: module, port and environment of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from deploy.local.layout import SERVICES, WORLD_OFFSET, Broker, Layout, Options
from deploy.local.provisioning import Addresses

HOST = "127.0.0.1"
WORLD = "rehearsal"
WITHHELD = frozenset(
    {"LIANGXIAN_BROKER_URL", "LIANGXIAN_DATABASE_URL", "LIANGXIAN_MIGRATE_URL", "LIANGXIAN_POSTGRES_URL"}
)


@dataclass(frozen=True, slots=True)
class Program:
    """``python -m module`` with an environment; ready when ``/readyz`` answers 200."""

    name: str
    module: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ready_url(self) -> str:
        return f"http://{HOST}:{self.port}/readyz"


def organisations_file() -> Path:
    """The development organisations; LIANGXIAN_ORGANISATIONS names another file."""
    chosen = os.environ.get("LIANGXIAN_ORGANISATIONS")
    return (
        Path(chosen) if chosen else Path(str(resources.files("deploy.local").joinpath("organisations.yaml")))
    )


def programs(options: Options, layout: Layout, addresses: Addresses, kafka: str | None) -> list[Program]:
    """The four services and, in a rehearsal, the outside world, which gets no database address."""
    common = inherited() | {
        "LIANGXIAN_HOST": HOST,
        "LIANGXIAN_LOG_LEVEL": options.log_level,
        "LIANGXIAN_ORGANISATIONS": str(organisations_file()),
        "LIANGXIAN_PACKS": os.environ.get("LIANGXIAN_PACKS", str(layout.packs)),
        "LIANGXIAN_PORT_BASE": str(options.port_base),
        "LIANGXIAN_REHEARSAL": "1" if options.rehearsal else "0",
        "PYTHONUNBUFFERED": "1",
    }
    found = [
        Program(
            name,
            f"services.{name}",
            options.port_base + offset,
            common
            | {
                "LIANGXIAN_BROKER": options.broker.value,
                "LIANGXIAN_BROKER_URL": broker_address(options.broker, addresses, kafka),
                "LIANGXIAN_DATABASE_URL": addresses[name]["service"],
                "LIANGXIAN_MIGRATE_URL": addresses[name]["migrate"],
                "LIANGXIAN_KEYS": str(layout.keys),
                "LIANGXIAN_PORT": str(options.port_base + offset),
            },
        )
        for offset, name in enumerate(SERVICES)
    ]
    if options.rehearsal:
        port = options.port_base + WORLD_OFFSET
        own = {"LIANGXIAN_PORT": str(port), "LIANGXIAN_DATA": str(layout.data / WORLD)}
        found.append(Program(WORLD, "deploy.rehearsal", port, common | own))
    return found


def broker_address(broker: Broker, addresses: Addresses, kafka: str | None) -> str:
    """``host:port`` of Kafka or the embedded broker's database."""
    if broker is Broker.KAFKA:
        if kafka is None:
            raise ValueError("the address of Kafka is not known")
        return kafka
    return addresses["broker"]["service"]


def inherited() -> dict[str, str]:
    """Our environment without database addresses: a service sees its own only, the outside world none."""
    return {name: value for name, value in os.environ.items() if name not in WITHHELD}
