"""What a container of the image does, and that compose hands it what it needs and no secret."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import yaml

from deploy.docker.healthy import healthy
from deploy.docker.start import databases, environment, main, prepare, unissued
from deploy.local.databases import ExternalPostgres
from deploy.local.layout import SERVICES
from deploy.local.postgres import PostgresServer
from deploy.local.processes import free_port
from shared.security.issuer import load_clients
from shared.security.keyring import Keyring

ROOT = Path(__file__).parents[3]


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def volumes(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of the two volumes, prepared."""
    keys, postgres = tmp_path / "keys", tmp_path / "postgres"
    for each in (keys, postgres):
        each.mkdir()
    prepare(keys, postgres)
    return keys, postgres


def test_preparing_makes_secrets_once(volumes: tuple[Path, Path]) -> None:
    keys, postgres = volumes
    before = (keys / "keys.json").read_bytes(), (postgres / "password").read_bytes()
    prepare(keys, postgres)
    assert ((keys / "keys.json").read_bytes(), (postgres / "password").read_bytes()) == before
    assert stat.S_IMODE((keys / "keys.json").stat().st_mode) == 0o600
    assert Keyring.load(keys / "keys.json").issuer_kid
    assert len(before[1]) >= 32


async def test_databases_are_made_with_the_administrators_password(
    volumes: tuple[Path, Path], tmp_path: Path
) -> None:
    """The addresses the services find in their volume work, and each has its own role."""
    keys, postgres = volumes
    server = PostgresServer(tmp_path / "server")
    await server.start()
    try:
        await server.create_role("postgres", (postgres / "password").read_text(encoding="ascii"))
        administrator = await asyncpg.connect(server.url("postgres"))
        await administrator.execute("ALTER ROLE postgres SUPERUSER")
        await administrator.close()

        await databases(f"127.0.0.1:{server.port}", keys, postgres)

        for service in SERVICES:
            found = environment(service, {"LIANGXIAN_PORT": "1"}, keys)
            connection = await asyncpg.connect(found["LIANGXIAN_DATABASE_URL"])
            assert await connection.fetchval("SELECT current_user") == service
            await connection.close()
    finally:
        await server.stop()
        server.destroy()


def test_a_service_gets_its_addresses_from_the_volume(tmp_path: Path) -> None:
    addresses = {name: {"service": f"s-{name}", "migrate": f"m-{name}"} for name in SERVICES}
    addresses["broker"] = {"service": "s-broker"}
    (tmp_path / "databases.json").write_bytes(msgspec.json.encode(addresses))
    embedded = environment("subsidy", {}, tmp_path)
    assert embedded["LIANGXIAN_DATABASE_URL"] == "s-subsidy"
    assert embedded["LIANGXIAN_MIGRATE_URL"] == "m-subsidy"
    assert embedded["LIANGXIAN_BROKER_URL"] == "s-broker"
    assert load_clients(Path(embedded["LIANGXIAN_ORGANISATIONS"]))
    given = {
        "LIANGXIAN_BROKER": "kafka",
        "LIANGXIAN_BROKER_URL": "kafka:9092",
        "LIANGXIAN_ISSUER_URL": "https://i",
    }
    on_kafka = environment("subsidy", given, tmp_path)
    assert on_kafka["LIANGXIAN_BROKER_URL"] == "kafka:9092"
    assert "LIANGXIAN_ORGANISATIONS" not in on_kafka


def test_what_it_does_not_know_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["payments"]) == 2
    assert "prepare, databases, healthy, registration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("issuer", "rehearsal", "starts"),
    [
        ("", "1", True),
        ("https://issuer.example.org", "0", True),
        ("", "0", False),
        ("https://issuer.example.org", "1", False),
    ],
)
def test_a_service_starts_with_an_issuer_or_in_a_rehearsal(issuer: str, rehearsal: str, starts: bool) -> None:
    """Never without somebody who issues tokens, and never with real tokens on a simulated clock."""
    given = {"LIANGXIAN_ISSUER_URL": issuer, "LIANGXIAN_REHEARSAL": rehearsal}
    assert (unissued(given) == "") is starts


def test_nobody_listening_is_not_healthy() -> None:
    assert healthy(free_port()) is False


def test_compose_runs_both_roles_of_the_four_services_behind_kafka_and_postgres(
    compose: dict[str, Any],
) -> None:
    """Issue 5 §3: API and worker of four services, Kafka, PostgreSQL, Prometheus; ports as in the interfaces."""
    services = compose["services"]
    always = {name for name, each in services.items() if "profiles" not in each}
    workers = {f"{name}-worker" for name in SERVICES}
    assert always == {"prepare", "databases", "postgres", "kafka", "prometheus", *SERVICES, *workers}
    assert services["kafka"]["image"] == "apache/kafka:4.3.0"
    assert services["postgres"]["image"] == "postgres:18"
    for offset, name in enumerate(SERVICES):
        for each, role in ((services[name], "api"), (services[f"{name}-worker"], "worker")):
            assert each["command"] == [name]
            assert each["environment"]["LIANGXIAN_ROLES"] == role
            assert each["environment"]["LIANGXIAN_PORT"] == 8101 + offset
            assert each["environment"]["LIANGXIAN_BROKER"] == "kafka"
            assert set(each["depends_on"]) == {"databases", "kafka"}
            assert "healthcheck" in each
        port = f"${{{name.upper()}_PORT:-{8101 + offset}}}"
        assert services[name]["ports"] == [f"127.0.0.1:{port}:{8101 + offset}"]
        assert "ports" not in services[f"{name}-worker"]


def test_prometheus_scrapes_every_process_of_compose(compose: dict[str, Any]) -> None:
    """Its configuration and rules are mounted, and no process is forgotten."""
    assert "./deploy/prometheus:/etc/prometheus:ro" in compose["services"]["prometheus"]["volumes"]
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    scraped = {
        target
        for job in yaml.safe_load(text)["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    processes = {
        f"{name}:{each['environment']['LIANGXIAN_PORT']}"
        for name, each in compose["services"].items()
        if "LIANGXIAN_PORT" in each.get("environment", {})
    }
    assert scraped == processes


def test_no_secret_stands_in_a_file(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8") + (ROOT / ".env.example").read_text(
        "utf-8"
    )
    assert not re.search(r"(?i)(password|secret)[:=][ \t]*[^\s/{]", text)
    assert compose["services"]["postgres"]["environment"].keys() == {"POSTGRES_PASSWORD_FILE"}


@pytest.mark.parametrize(
    ("given", "starts"),
    [
        ({}, False),
        ({"LIANGXIAN_REHEARSAL": "0", "LIANGXIAN_ISSUER_URL": ""}, False),
        ({"LIANGXIAN_REHEARSAL": "1"}, True),
        ({"LIANGXIAN_REHEARSAL": "0", "LIANGXIAN_ISSUER_URL": "https://issuer.example"}, True),
    ],
)
def test_a_service_without_rehearsal_and_issuer_does_not_start(
    given: dict[str, str],
    starts: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The development issuer's secrets are in every image: only a rehearsal may trust them (architecture §6)."""
    started: list[str] = []
    for name in ("LIANGXIAN_REHEARSAL", "LIANGXIAN_ISSUER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("deploy.docker.start.environment", lambda service, _: {"service": service})
    monkeypatch.setattr("deploy.docker.start.os.execve", lambda *call: started.append(call[2]["service"]))
    assert main(["collection"]) == (0 if starts else 2)
    assert started == (["collection"] if starts else [])
    assert ("LIANGXIAN_ISSUER_URL" in capsys.readouterr().err) is not starts


def test_every_setting_of_compose_is_explained(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    explained = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w+)", text):
        assert f"\n{name}=" in explained


def test_the_image_is_built_from_what_the_context_lets_through() -> None:
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    ]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}\n" in let_through
    assert "--require-hashes" in dockerfile
    assert re.search(r"^USER liangxian$", dockerfile, re.MULTILINE)


async def test_an_old_or_silent_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL 15 is the oldest (architecture §7)."""
    server = ExternalPostgres("postgresql://x@127.0.0.1:1/postgres")

    async def answer() -> bool:
        return True

    async def version() -> int:
        return 140011

    monkeypatch.setattr(server._databases, "answers", answer)
    monkeypatch.setattr(server._databases, "version", version)
    with pytest.raises(RuntimeError, match="15 or newer is needed, not 14"):
        await server.start()
