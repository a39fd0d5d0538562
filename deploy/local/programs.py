"""The Python processes of the system: module, port and environment of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import msgspec

from deploy.local.layout import SERVICES, WORLD_OFFSET, Broker, Layout, Options
from deploy.local.provisioning import Addresses

HOST = "127.0.0.1"
WORLD = "rehearsal"
WORKER = "-worker-"
PORTS_APART = 10
"""Between the first, second, third … process of a service."""
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

    def on(self, name: str, port: int, further: Mapping[str, str] | None = None) -> Program:
        """The same under a name and on a port of its own."""
        environment = {**self.environment, "LIANGXIAN_PORT": str(port), **(further or {})}
        return replace(self, name=name, port=port, environment=environment)


def worker_name(service: str, number: int) -> str:
    """Name of the second, third … process of a service; the first has the service's own."""
    return f"{service}{WORKER}{number}"


def service_of(name: str) -> str:
    """The service a process belongs to; empty for others."""
    service = name.partition(WORKER)[0]
    return service if service in SERVICES else ""


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
    broker = {
        "LIANGXIAN_BROKER": options.broker.value,
        "LIANGXIAN_BROKER_URL": broker_address(options.broker, addresses, kafka),
    }
    found = []
    for offset, name in enumerate(SERVICES):
        own = {
            "LIANGXIAN_DATABASE_URL": addresses[name]["service"],
            "LIANGXIAN_MIGRATE_URL": addresses[name]["migrate"],
            "LIANGXIAN_KEYS": str(layout.keys),
        }
        first = Program(name, f"services.{name}", options.port_base + offset, common | broker | own)
        found.append(first.on(first.name, first.port))
        for number in range(2, options.workers.get(name, 1) + 1):
            port = first.port + PORTS_APART * (number - 1)
            found.append(first.on(worker_name(name, number), port, {"LIANGXIAN_ROLES": "worker"}))
    if options.rehearsal:
        port = options.port_base + WORLD_OFFSET
        books = {"LIANGXIAN_DATA": str(layout.data / WORLD)}
        found.append(Program(WORLD, "deploy.rehearsal", port, common | books).on(WORLD, port))
    return found


def scraped(found: Iterable[Program]) -> str:
    """What Prometheus scrapes of them: every process of every service, with its role."""
    groups = [
        {
            "targets": [f"{HOST}:{each.port}"],
            "labels": {"role": each.environment.get("LIANGXIAN_ROLES", "all"), "process": each.name},
        }
        for each in found
        if each.name != WORLD
    ]
    return msgspec.json.format(msgspec.json.encode(groups), indent=1).decode() + "\n"


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
