"""A real Prometheus beside a faulty campaign, with our own rules on a faster clock, and the list of what it saw.

Alerts are made for hours, faults in a test last seconds: every duration of the rules (``for``, ranges, seconds of
lag) is divided by ``HASTE``, so that a fault of ten seconds is what one of five minutes is in operation. What is
compared, and with what it is compared otherwise, stays as it is written.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.local.processes import free_port, leash, spawn, until, write_atomically

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy/prometheus"
HASTE = 30
SCRAPE = "2s"
LEAST_RANGE_SECONDS = 6
LIST = ROOT / "out/faults.md"
PARTS = ROOT / "out/faults"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_RANGE = re.compile(r"\[(\d+)([smh])\]")
_SECONDS_OF = re.compile(r"(?<=seconds\) > )(\d+)")


def hurried(rules: dict[str, Any]) -> dict[str, Any]:
    """The rules with every duration divided by ``HASTE``."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = f"{max(_seconds(rule['for']) // HASTE, 1)}s"
            rule["expr"] = _RANGE.sub(_shorter, rule["expr"])
            rule["expr"] = _SECONDS_OF.sub(lambda found: str(max(int(found[1]) // HASTE, 1)), rule["expr"])
    return rules


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _shorter(found: re.Match[str]) -> str:
    return f"[{max(int(found[1]) * _UNITS[found[2]] // HASTE, LEAST_RANGE_SECONDS)}s]"


def installed() -> bool:
    """Whether there is a Prometheus on this machine."""
    return shutil.which("prometheus") is not None


@dataclass
class Alarms:
    """A Prometheus that scrapes every process of a system every other second.

    targets: where the system says which processes it has (``Layout.targets``).
    """

    folder: Path
    targets: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configure()
        self.process = spawn(
            [
                "prometheus",
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            log=self.folder / "log",
        )
        self._let_go = leash(self.process.pid, 9)
        assert await until(self._answers, seconds=60, every=0.2), (self.folder / "log").read_text()[-2000:]

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self._let_go()
            self.process = None

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        alerts = self._ask("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def fired(self, since: float, until_: float) -> set[str]:
        """Names of the alerts that fired in a span of time (Unix seconds)."""
        query = {"query": 'ALERTS{alertstate="firing"}', "start": since, "end": until_, "step": "1s"}
        return {series["metric"]["alertname"] for series in self._ask("query_range", **query)["result"]}

    def down_seconds(self, address: str, since: float, until_: float) -> float:
        """How long in a span of time a process did not answer the scrape, at least."""
        query = {"query": f'up{{instance="{address}"}} == 0', "start": since, "end": until_, "step": "1s"}
        return float(sum(len(series["values"]) for series in self._ask("query_range", **query)["result"]))

    def rules(self) -> set[str]:
        """Names of the alerts it knows."""
        groups = self._ask("rules")["groups"]
        return {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}

    def _ask(self, what: str, **query: Any) -> Any:
        answer = httpx.get(
            f"http://127.0.0.1:{self.port}/api/v1/{what}", params=query, timeout=30, trust_env=False
        )
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]

    async def _answers(self) -> bool:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
            try:
                answer = await http.get(f"http://127.0.0.1:{self.port}/-/ready")
            except httpx.HTTPError:
                return False
            return answer.status_code == httpx.codes.OK

    def _configure(self) -> None:
        config = yaml.safe_load((PROMETHEUS / "local.yml").read_text(encoding="utf-8"))
        config["global"] = {
            "scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE,
        }  # fmt: skip
        [job] = config["scrape_configs"]
        [discovery] = job["file_sd_configs"]
        discovery |= {"files": [str(self.targets)], "refresh_interval": SCRAPE}
        rules = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))
        for name, content in (("rules.yml", hurried(rules)), ("prometheus.yml", config)):
            (self.folder / name).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of the fault list."""

    fault: str
    seconds: float
    seen: str
    fired: frozenset[str]
    expected: frozenset[str]


def listed(lines: Iterable[Seen], part: str) -> str:
    """What a campaign went through as a table: a part of the fault list, ``out/faults.md``."""
    table = ["| 故障 / fault | s | 所见 / what was seen | 告警 / alert fired |", "|---|---|---|---|"]
    for line in lines:
        also = sorted(line.fired - line.expected)
        fired = ", ".join([*(f"**{name}**" for name in sorted(line.fired & line.expected)), *also])
        table.append(f"| {line.fault} | {line.seconds:.0f} | {line.seen} | {fired or '—'} |")
    text = "\n".join(table) + "\n"
    write_atomically(PARTS / f"{part}.md", text)
    parts = [f"## {each.stem}\n\n{each.read_text(encoding='utf-8')}" for each in sorted(PARTS.glob("*.md"))]
    write_atomically(LIST, "\n".join(parts))
    return text


def now() -> float:
    """Unix seconds, as Prometheus counts."""
    return time.time()
