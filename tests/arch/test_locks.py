"""The lock files hold what pyproject.toml asks for, by hash, and no place to get it from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(file: str) -> dict[str, tuple[str, str]]:
    """Package -> version and the rest of its entry."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return {normal(name): (version, rest) for name, version, rest in PINNED.findall(text)}


def asked(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [found for found in map(Requirement, lines) if normal(found.name) != normal(project["name"])]


@pytest.mark.parametrize(
    ("file", "extras"), [("requirements.lock", ()), ("requirements-dev.lock", ("local", "dev"))]
)
def test_a_lock_satisfies_what_is_asked_for(file: str, extras: tuple[str, ...]) -> None:
    """`make lock` after a change of pyproject.toml; without it a fresh clone lacks the package."""
    pinned = locked(file)
    lacking = [
        str(each)
        for each in asked(*extras)
        if normal(each.name) not in pinned or pinned[normal(each.name)][0] not in each.specifier
    ]
    assert lacking == []


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_a_lock_names_hashes_and_no_addresses(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index|--find-links|--extra-index| @ ", text)
    entries = locked(file)
    assert entries
    assert [name for name, (_, rest) in entries.items() if "--hash=sha256:" not in rest] == []


def test_both_locks_agree_on_what_runs() -> None:
    """What is tested is what a container installs."""
    tested = locked("requirements-dev.lock")
    assert {
        name: version
        for name, (version, _) in locked("requirements.lock").items()
        if tested[name][0] != version
    } == {}
