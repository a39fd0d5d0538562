"""Dashboards (issue 5 §5): every query runs on a real Prometheus that scrapes a running campaign, and shows data."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import stamina
import yaml

from deploy.grafana.boards import FOLDER, main
from deploy.local.layout import SERVICES, Layout
from deploy.local.processes import free_port
from tests.operations.dashboards import expression, queries, seen, wanting

ROOT = Path(__file__).parents[2]
PORT_BASE = 8560
DEMO = ("demo", "--pack", "ST-2020", "--place", "店子镇", "--villages", "1", "--scale", "0.05", "--keep")
DEMO_SECONDS = 420
START_SECONDS = 30
SCRAPE_SECONDS = 2

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="Prometheus is not installed (apt-get install prometheus)",
)


@dataclass(frozen=True, slots=True)
class Watched:
    """A campaign that was run, and the Prometheus that watched it. Unix seconds."""

    prometheus: str
    began: float
    ended: float


def liangxian(*arguments: str, data: Path, seconds: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", *arguments, "--data", str(data)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)


def ready(url: str) -> None:
    """Wait until it answers 200."""
    for attempt in stamina.retry_context(
        on=httpx.HTTPError, attempts=None, timeout=START_SECONDS, wait_max=0.5
    ):
        with attempt:
            httpx.get(url, timeout=2, trust_env=False).raise_for_status()


def configuration(folder: Path) -> Path:
    """The local configuration, on our ports and often enough for a short campaign."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/local.yml").read_text(encoding="utf-8"))
    config["global"] = dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{SCRAPE_SECONDS}s"
    )
    [job] = config["scrape_configs"]
    [discovery] = job["file_sd_configs"]
    discovery |= {"files": [str(Layout(folder / "system").targets)], "refresh_interval": "1s"}
    shutil.copy(ROOT / "deploy/prometheus/rules.yml", folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "prometheus.yml"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A small campaign, run to its end under a Prometheus and kept up."""
    folder = tmp_path_factory.mktemp("prometheus")
    data, port = folder / "system", free_port()
    with (folder / "log").open("wb") as log:
        prometheus = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration(folder)}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            ready(f"http://127.0.0.1:{port}/-/ready")
            began = time.time()
            options = ("--port-base", str(PORT_BASE), "--out", str(folder / "out"))
            done = liangxian(*DEMO, *options, data=data, seconds=DEMO_SECONDS)
            assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
            seen(f"http://127.0.0.1:{port}", time.time() + SCRAPE_SECONDS, START_SECONDS)
            yield Watched(f"http://127.0.0.1:{port}", began, time.time())
        finally:
            liangxian("down", data=data, seconds=120)
            prometheus.send_signal(signal.SIGTERM)
            prometheus.wait(30)


def test_the_files_are_what_the_code_makes() -> None:
    assert main(["--check"]) == 0


def test_there_are_the_four_dashboards_operators_are_promised() -> None:
    boards = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}
    assert set(boards) == {"campaign", "money", "services", "messaging"}
    for board in boards.values():
        assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])


def test_every_variable_of_a_query_is_one_we_fill() -> None:
    assert not [query.expr for _, _, query in queries() if "$" in expression(query)]


@needs_prometheus
@pytest.mark.processes
@pytest.mark.timeout(DEMO_SECONDS + 180)
def test_every_query_of_every_dashboard_runs_and_shows_the_campaign(watched: Watched) -> None:
    assert wanting(watched.prometheus, watched.began, watched.ended) == []


@needs_prometheus
@pytest.mark.processes
@pytest.mark.timeout(DEMO_SECONDS + 180)
def test_a_sound_campaign_ends_without_money_or_messages_alarming(watched: Watched) -> None:
    """Rules are evaluated without fault, and nothing critical fires at rest."""
    with httpx.Client(timeout=30, trust_env=False) as http:
        groups = http.get(f"{watched.prometheus}/api/v1/rules").json()["data"]["groups"]
        alerts = http.get(f"{watched.prometheus}/api/v1/alerts").json()["data"]["alerts"]
    assert {
        rule["name"]: rule["health"] for group in groups for rule in group["rules"] if rule["health"] != "ok"
    } == {}
    firing = [each["labels"] for each in alerts if each["state"] == "firing"]
    assert [each for each in firing if each["severity"] == "critical"] == []


@needs_prometheus
@pytest.mark.processes
@pytest.mark.timeout(DEMO_SECONDS + 180)
@pytest.mark.parametrize("offset", range(len(SERVICES)), ids=SERVICES)
def test_metrics_are_clean_under_promtool(watched: Watched, offset: int) -> None:
    """``promtool check metrics``: names, help, types; no remark."""
    text = httpx.get(f"http://127.0.0.1:{PORT_BASE + offset}/metrics", timeout=30, trust_env=False).text
    answer = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
