"""Alerts as code (issue 5 §5): valid, tested both ways by promtool, each with a runbook whose commands exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deploy.cli.__main__ import app
from deploy.kubernetes.manifests import monitoring, service
from deploy.local.layout import SERVICES
from shared.observability.metrics import ServiceMetrics

JOB = "liangxian"
ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RUNBOOKS = ROOT / "docs/runbooks"
WANTED = {
    "RelayLagging": "lag",
    "ConsumerLagging": "lag",
    "ConsumerStalled": "stall: no progress",
    "RelayStalled": "stall: no progress",
    "DeadLetters": "dead letters",
    "AppendLockWait": "append wait",
    "UnaccountedMoney": "unaccounted_fen not 0",
    "UnaccountedMoneyStale": "unaccounted_fen stale",
    "OverdueRemittance": "overdue remittance",
    "MissingDeathFile": "missing death file",
    "CommandQueueFull": "queue full",
    "NoWorker": "stall: no worker runs",
    "ServiceNotReady": "a database that is away, a pack that differs",
}
"""What issue 5 §5 asks for, by alert."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt-get install prometheus)"
)


def loaded(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in loaded("rules.yml")["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False
    )


@needs_promtool
@pytest.mark.parametrize("config", ["prometheus.yml", "local.yml"])
def test_the_configuration_and_its_rules_are_valid(config: str) -> None:
    answer = promtool("check", "config", config)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(rules())} rules found" in answer.stdout


@needs_promtool
def test_every_alert_fires_and_keeps_silent_as_its_tests_say() -> None:
    answer = promtool("test", "rules", "rules.test.yml")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "SUCCESS" in answer.stdout


@needs_promtool
def test_a_rule_that_never_fires_fails_its_tests(tmp_path: Path) -> None:
    """The unit tests can fail: a mutilated threshold is found."""
    whole = (PROMETHEUS / "rules.yml").read_text(encoding="utf-8")
    mutilated = whole.replace("lag_seconds) > 60", "lag_seconds) > 1e9")
    assert mutilated != whole
    (tmp_path / "rules.yml").write_text(mutilated, encoding="utf-8")
    shutil.copy(PROMETHEUS / "rules.test.yml", tmp_path)
    answer = subprocess.run(
        ["promtool", "test", "rules", "rules.test.yml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode != 0
    assert "RelayLagging" in answer.stdout + answer.stderr


def test_what_operators_are_promised_has_an_alert() -> None:
    assert set(ALERTS) >= set(WANTED)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_is_tested_firing_and_silent(alert: str) -> None:
    cases = [
        case
        for test in loaded("rules.test.yml")["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_has_a_severity_and_a_runbook_that_names_it(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    runbook = ROOT / rule["annotations"]["runbook"]
    assert runbook.parent == RUNBOOKS
    text = runbook.read_text(encoding="utf-8")
    assert f"**Alert** `{alert}`" in text
    assert f"| {alert} | [{runbook.name}]({runbook.name}) |" in (RUNBOOKS / "README.md").read_text("utf-8")


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_asks_for_metrics_that_exist(alert: str) -> None:
    """Every liangxian_ name of the expression is one the services register."""
    known = set()
    for family in ServiceMetrics("any").registry.collect():
        known |= {family.name, f"{family.name}_total"}
        if family.type == "histogram":
            known |= {f"{family.name}_{suffix}" for suffix in ("bucket", "count", "sum")}
    asked = set(re.findall(r"\bliangxian_\w+", ALERTS[alert]["expr"]))
    assert asked or 'up{job="liangxian"}' in ALERTS[alert]["expr"]
    assert asked <= known


def commands() -> Iterator[tuple[str, str]]:
    """(runbook, command line) of everything the runbooks tell to run."""
    for runbook in sorted(RUNBOOKS.glob("*.md")):
        text = runbook.read_text(encoding="utf-8")
        for found in re.findall(r"(?:^|`)(liangxian [^`#\n]+)", text, re.MULTILINE):
            yield runbook.name, found.strip()


@pytest.mark.parametrize(("runbook", "line"), list(commands()))
def test_a_command_of_a_runbook_exists(runbook: str, line: str) -> None:
    """The command and its options are those of the command line; nothing is run."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        assert words, f"{line}: which command of {command.name}?"
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    asked = {word for word in words if word.startswith("--")}
    assert asked <= options, line


@pytest.mark.parametrize("config", ["prometheus.yml", "local.yml"])
def test_processes_are_scraped_under_the_job_the_rules_ask_for(config: str) -> None:
    asked = {job for rule in rules() for job in re.findall(r'\bjob="([^"]+)"', rule["expr"])}
    assert asked == {JOB}
    assert [job["job_name"] for job in loaded(config)["scrape_configs"]] == [JOB]


def test_pods_are_scraped_under_the_job_the_rules_ask_for() -> None:
    """The operator takes the job from the pod label that ``jobLabel`` names; every process carries it."""
    [monitor] = monitoring()
    label = monitor["spec"]["jobLabel"]
    pods = [each["spec"]["template"]["metadata"] for name in SERVICES for each in service(name)
            if each["kind"] == "Deployment"]  # fmt: skip
    assert pods
    for pod in pods:
        assert pod["labels"][label] == JOB
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["labels"].items()


def test_links_between_runbooks_hold() -> None:
    for runbook in RUNBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([\w-]+\.md)\)", runbook.read_text(encoding="utf-8")):
            assert (RUNBOOKS / target).exists(), f"{runbook.name} -> {target}"
