"""``liangxian rehearse`` and Locust against a small real system: prepared, loaded, audited (issue 5, load testers)."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli.output import Exit
from deploy.rehearsal.clients import SERVICES

ROOT = Path(__file__).parents[2]
SECONDS = 400
QUICK = ("--rate", "15", "--seconds", "6", "--p99-ms", "5000", "--drained-seconds", "60")
"""Objectives a busy machine meets; money has none that could be loosened."""

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.timeout(SECONDS + 60)]


def _ports() -> int:
    for base in range(9600, 9990, 10):
        with socket.socket() as probe:
            if all(probe.connect_ex(("127.0.0.1", base + offset)) for offset in range(10)):
                return base
    pytest.fail("no ten free ports in a row")


def _liangxian(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *words], cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Collection of a system with one village of SC-2025 ready to pay; prepared by the first run itself."""
    folder, base = tmp_path_factory.mktemp("rehearsing"), _ports()
    data = ("--data", str(folder / "data"))
    try:
        up = _liangxian("up", *data, "--port-base", str(base), cwd=folder)
        assert up.returncode == 0, up.stderr
        address = f"http://127.0.0.1:{base + 1}"
        prepared = ("--prepare", "--scale", "0.05", "--villages", "6")
        done = _rehearse(address, "last-day", folder, *prepared)
        assert done.returncode == Exit.OK, done.stdout[-3000:] + done.stderr[-2000:]
        yield address
    finally:
        _liangxian("down", *data, cwd=folder)


def _rehearse(target: str, profile: str, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return _liangxian(
        "rehearse", "--target", target, "--pack", "SC-2025", "--profile", profile, *QUICK, *more,
        "--out", str(out), "--json", cwd=out,
    )  # fmt: skip


def test_the_evenings_files_meet_the_payers_and_every_fen_is_there(target: str, tmp_path: Path) -> None:
    """day-close: channel files, the bank's and the treasury's are taken while singles arrive."""
    done = _rehearse(target, "day-close", tmp_path)
    assert done.returncode == Exit.OK, done.stdout[-3000:] + done.stderr[-2000:]
    report = json.loads(done.stdout)
    steps = {step["step"].partition(" ")[0]: step for step in report["beside"]}
    assert {"day-file", "bank-file", "treasury-file"} <= set(steps)
    assert steps["bank-file"]["refused"] == steps["treasury-file"]["refused"] == 0
    assert report["money"]["clean"] is True
    assert report["money"]["accepted"] > 60
    assert "✓ 通过" in (tmp_path / "rehearsal.html").read_text(encoding="utf-8")


def test_an_outage_is_made_up_for_and_the_window_extended(target: str, tmp_path: Path) -> None:
    """outage: what waited is taken afterwards, once; a day is added for who met it."""
    done = _rehearse(target, "outage", tmp_path)
    assert done.returncode == Exit.OK, done.stdout[-3000:] + done.stderr[-2000:]
    report = json.loads(done.stdout)
    steps = {step["step"]: step for step in report["beside"]}
    assert steps["outage"]["orders"] > 10
    assert steps["window-extended"]["status"] in (200, 201)
    assert report["figures"]["payers_left"] >= 0
    assert report["money"]["clean"] is True


def test_an_objective_that_is_missed_ends_with_one(target: str, tmp_path: Path) -> None:
    """Nobody answers within a thousandth of a millisecond; the report is written all the same."""
    done = _rehearse(target, "last-day", tmp_path, "--p99-ms", "0.001")
    assert done.returncode == Exit.DIFFERENCE
    report = json.loads((tmp_path / "rehearsal.json").read_text(encoding="utf-8"))
    assert [each["objective"] for each in report["objectives"] if not each["met"]] == ["p99_ms"]


def test_too_few_payers_are_said_before_anything_is_sent(target: str, tmp_path: Path) -> None:
    """Exit 2, how many there are, and what to do."""
    done = _rehearse(target, "last-day", tmp_path, "--rate", "3000", "--seconds", "60")
    assert done.returncode == Exit.USAGE
    assert "too few payers" in done.stderr
    assert not (tmp_path / "rehearsal.json").exists()


def test_locust_users_pay_without_a_failure(target: str, tmp_path: Path) -> None:
    """The Locust file loads and a few users run for a few seconds."""
    if importlib.util.find_spec("locust") is None:  # importing it would patch this process's sockets
        pytest.skip("the load extra is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(ROOT / "deploy/load/locustfile.py"), "--host", target,
         "--headless", "--users", "3", "--spawn-rate", "3", "--run-time", "8s", "--json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["POST /payments"]["num_requests"] >= 5
    assert sum(row["num_failures"] for row in rows.values()) == 0


def test_another_machine_is_not_loaded_by_accident(tmp_path: Path) -> None:
    """Exit 2 before a request is sent; nothing listens at that address, and nothing is asked."""
    named = [f"--service={name}=http://192.0.2.1:1" for name in SERVICES]
    done = _rehearse("http://192.0.2.1:1", "last-day", tmp_path, *named)
    assert done.returncode == Exit.USAGE
    assert "--i-may-load-this-target" in done.stderr


def test_a_target_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    """Exit 3."""
    assert _rehearse(f"http://127.0.0.1:{_ports()}", "last-day", tmp_path).returncode == Exit.UNREACHABLE
