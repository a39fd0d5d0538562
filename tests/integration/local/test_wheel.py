"""The built wheel, installed outside the checkout: complete, and a service starts from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.local.keys import ensure_keys
from deploy.local.layout import SERVICES
from deploy.local.postgres import Server
from deploy.local.processes import end, free_port, identify, spawn, tail_of, until
from deploy.local.programs import inherited
from deploy.local.provisioning import provision

ROOT = Path(__file__).parents[3]
PACKAGES = ("services", "shared", "deploy")
NOT_SHIPPED = {".md", ".pyc", ".Dockerfile", ""}
FACTORY = """
import sys
import {module} as module
sys.exit(0 if callable(module.create_app) and {site!r} in module.__file__ else 1)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources so that the checkout stays clean."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(place),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (built,) = place.glob("liangxian-*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked as an installer would, beside the dependencies of this environment."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def outside(site: Path) -> dict[str, str]:
    """An environment in which the installed packages come before anything of the checkout."""
    return inherited() | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


def test_everything_a_package_needs_is_in_it(wheel: Path) -> None:
    """SQL, YAML and templates are package data (architecture §2): a file left out fails here, not in the field."""
    shipped = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in NOT_SHIPPED and "__pycache__" not in path.parts
    }
    assert {"deploy/local/organisations.yaml", "deploy/local/kafka/pom.xml"} <= wanted
    assert sorted(wanted - shipped) == []


def test_only_our_packages_are_in_it(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_folder_with_modules_is_a_package() -> None:
    """Every package has ``__init__.py`` (architecture §2); Alembic's versions are loaded by path."""
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    lacking = [
        folder for folder in folders if not (folder / "__init__.py").exists() and folder.name != "versions"
    ]
    assert sorted(str(folder.relative_to(ROOT)) for folder in lacking) == []


@pytest.mark.parametrize("service", SERVICES)
def test_the_factory_comes_from_the_wheel(site: Path, tmp_path: Path, service: str) -> None:
    """Importing has no effects: without any setting the factory is there."""
    program = FACTORY.format(module=f"services.{service}.app", site=str(site))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=outside(site), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def service_log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


@pytest.fixture
async def started(site: Path, postgres: Server, tmp_path: Path, service_log: Path) -> AsyncIterator[int]:
    """Port of a registration service started from the wheel."""
    addresses = await provision(postgres, tmp_path / "databases.json")
    port = free_port()
    environment = outside(site) | {
        "LIANGXIAN_BROKER_URL": addresses["broker"]["service"],
        "LIANGXIAN_DATABASE_URL": addresses["registration"]["service"],
        "LIANGXIAN_KEYS": str(ensure_keys(tmp_path / "keys.json")),
        "LIANGXIAN_MIGRATE_URL": addresses["registration"]["migrate"],
        "LIANGXIAN_ORGANISATIONS": str(site / "deploy" / "local" / "organisations.yaml"),
        "LIANGXIAN_PORT": str(port),
    }
    child = spawn(
        [sys.executable, "-m", "services.registration"],
        log=service_log,
        environment=environment,
        directory=tmp_path,
    )
    running = identify(child.pid)
    assert running is not None
    yield port
    await end(running, grace=20)
    for name in addresses:
        await postgres.drop_database(name)


async def test_a_service_starts_from_the_wheel(started: int, service_log: Path) -> None:
    async def ready() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(f"http://127.0.0.1:{started}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    assert await until(ready, seconds=60), tail_of(service_log)
    assert os.fspath(ROOT) not in tail_of(service_log, 200)
