"""What docker itself says of compose file and Dockerfile; skipped only where docker cannot compose."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")


def composes() -> bool:
    """Whether docker is there with its plugin: a bare client knows no ``compose``."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


needs_docker = pytest.mark.skipif(not composes(), reason="docker compose is not installed")


def config(*options: str) -> dict[str, Any]:
    """``docker compose config`` as JSON: it needs no engine to run."""
    done = subprocess.run(
        ["docker", "compose", *options, "config", "--format", "json"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@needs_docker
def test_docker_accepts_the_compose_file_with_the_example_settings() -> None:
    services = config("--env-file", ".env.example")["services"]
    assert len([name for name in services if name.endswith("-worker")]) == 4
    assert all(
        each.get("healthcheck") for name, each in services.items() if name not in {"prepare", "databases"}
    )


@needs_docker
def test_profiles_add_dashboards_and_the_rehearsal() -> None:
    whole = config("--profile", "grafana", "--profile", "rehearsal")["services"]
    assert set(whole) - set(config()["services"]) == {"grafana", "rehearsal"}


@needs_docker
def test_what_is_mounted_is_there() -> None:
    """A bind that is missing would be made as an empty folder by the engine."""
    whole = config("--profile", "grafana")["services"]
    binds = [
        volume["source"]
        for each in whole.values()
        for volume in each.get("volumes", ())
        if volume["type"] == "bind"
    ]
    assert binds
    assert all(Path(source).is_dir() and any(Path(source).iterdir()) for source in binds)


@needs_docker
def test_ports_are_open_on_this_machine_only() -> None:
    whole = config("--profile", "grafana")["services"]
    assert {port["host_ip"] for each in whole.values() for port in each.get("ports", ())} == {"127.0.0.1"}


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    """Tools and sources stay in the first stage; the last has a user, an entry point in exec form and no secret."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    assert all(re.match(r"python:3\.\d+-slim", stage) for stage in stages)
    last = stages[-1]
    assert re.search(r"^COPY --from=build ", last, re.MULTILINE)
    assert not re.search(r"^COPY (?!--from)", last, re.MULTILINE)
    assert re.search(r"^USER liangxian$", last, re.MULTILINE)
    assert last.index("USER liangxian") < last.index("ENTRYPOINT [")
    assert "apt-get" not in last
    assert not re.search(r"(?i)^(ARG|ENV) .*(password|secret|token)", DOCKERFILE, re.MULTILINE)
