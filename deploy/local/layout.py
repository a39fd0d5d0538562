"""Where one installation keeps what, what it was asked for, and the state it reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from deploy.local.processes import write_atomically

DEFAULT_DATA = Path(".liangxian")
DEFAULT_PORT_BASE = 8101
WORLD_OFFSET = 9
SERVICES = ("registration", "collection", "subsidy", "notification")
MOST_PROCESSES = 9
"""Of one service: the ports of all lie below the hundred behind the first port."""


class Broker(StrEnum):
    """What carries the messages between the services."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a data directory."""

    data: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.data.resolve())

    @property
    def state(self) -> Path:
        return self.data / "run" / "system.json"

    @property
    def targets(self) -> Path:
        """What Prometheus scrapes, in the format of its file discovery."""
        return self.data / "run" / "prometheus.json"

    @property
    def lock(self) -> Path:
        return self.data / "run" / "supervisor.lock"

    @property
    def keys(self) -> Path:
        return self.data / "keys.json"

    @property
    def databases(self) -> Path:
        """Addresses with passwords (0600): service -> {service, migrate, auditor}."""
        return self.data / "databases.json"

    @property
    def packs(self) -> Path:
        """Further policy packs of this installation; files may come while it runs."""
        return self.data / "packs"

    def pid(self, name: str) -> Path:
        return self.data / "run" / f"{name}.pid"

    def log(self, name: str) -> Path:
        return self.data / "logs" / f"{name}.log"


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked for. rehearsal: simulated clock and outside world, for development.

    workers: processes that work for a service, the one that answers requests among them; 1 where none is named.
    """

    data: Path = DEFAULT_DATA
    broker: Broker = Broker.EMBEDDED
    port_base: int = DEFAULT_PORT_BASE
    rehearsal: bool = True
    ready_file: Path | None = None
    log_level: str = "INFO"
    workers: Mapping[str, int] = field(default_factory=dict)

    def asked(self) -> tuple[object, ...]:
        """What a running system must have been asked for to be this one."""
        return self.broker.value, self.port_base, self.rehearsal, dict(self.workers)


def parse_workers(given: Iterable[str]) -> dict[str, int]:
    """``["collection=2"]`` -> {"collection": 2}. Raises ValueError for another service or number."""
    found: dict[str, int] = {}
    for word in given:
        name, _, number = word.partition("=")
        if name not in SERVICES or not number.isdecimal() or not 1 <= int(number) <= MOST_PROCESSES:
            raise ValueError(f"<service>=1..{MOST_PROCESSES}, one of {', '.join(SERVICES)}: {word}")
        if int(number) > 1:
            found[name] = int(number)
    return found


class ProgramState(msgspec.Struct, frozen=True):
    """One process. peak_mib: the most its resident memory was seen to be, restarts included.

    cpu_seconds: CPU it used since the data directory was made, all its restarts and stops included; cpu_before:
    the part of that which ended processes used.
    """

    pid: int
    port: int
    running: bool
    restarts: int
    peak_mib: float
    cpu_seconds: float = 0.0
    cpu_before: float = 0.0


class State(msgspec.Struct, frozen=True):
    """What the supervisor last wrote. failure: why the start was given up, empty otherwise.

    services_peak_mib: the most the four services were seen to have resident at one moment.
    """

    supervisor: int
    ready: bool
    broker: str
    port_base: int
    rehearsal: bool
    programs: dict[str, ProgramState]
    failure: str = ""
    services_peak_mib: float = 0.0
    workers: dict[str, int] = {}

    def asked(self) -> tuple[object, ...]:
        """See Options.asked."""
        return self.broker, self.port_base, self.rehearsal, self.workers

    def addresses(self) -> dict[str, str]:
        """Base URL per program that answers HTTP."""
        return {name: f"http://127.0.0.1:{each.port}" for name, each in self.programs.items() if each.port}


def write_state(layout: Layout, state: State) -> None:
    write_atomically(layout.state, msgspec.json.format(msgspec.json.encode(state), indent=1).decode() + "\n")


def read_state(layout: Layout) -> State | None:
    """The state last written; None when there is none or it is of another version."""
    try:
        return msgspec.json.decode(layout.state.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return None
