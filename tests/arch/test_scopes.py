"""Scopes that routes ask for and scopes that development clients hold are the same set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.security.issuer import load_clients

ROOT = Path(__file__).parents[2]
ASKING = {"authorised", "caller", "require_scope", "allows"}
CAPABILITY = r"(registration|collection|subsidy|notification):[a-z_]+:(read|write)"
SHAPE = re.compile(rf"ops|imports:read|events:read|{CAPABILITY}")


def constants(tree: ast.Module) -> dict[str, str]:
    """Module-level ``NAME = "text"``."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def asked(source: str) -> Iterator[str]:
    """Scopes a module asks for: ``authorised(X, ...)``, ``require_scope(principal, X)``, ``allows(X)``.

    Scopes that carry the service's name in their text (f-strings) have a plain alternative beside them.
    """
    tree = ast.parse(source)
    known = constants(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in ASKING:
            continue
        for scope in node.args:
            if isinstance(scope, ast.Constant) and isinstance(scope.value, str):
                yield scope.value
            elif isinstance(scope, ast.Name) and scope.id in known:
                yield known[scope.id]


@pytest.fixture(scope="module")
def routes() -> dict[str, str]:
    """Scope -> a file that asks for it."""
    found: dict[str, str] = {}
    for root in ("services", "shared/web"):
        for path in sorted((ROOT / root).rglob("*.py")):
            for scope in asked(path.read_text(encoding="utf-8")):
                found.setdefault(scope, path.relative_to(ROOT).as_posix())
    return found


@pytest.fixture(scope="module")
def held() -> dict[str, list[str]]:
    """Scope -> clients that hold it."""
    found: dict[str, list[str]] = {}
    for client in load_clients(ROOT / "deploy/local/organisations.yaml"):
        for scope in client.scopes:
            found.setdefault(scope, []).append(client.client_id)
    return found


def test_every_scope_a_route_asks_for_is_held_by_a_client(
    routes: dict[str, str], held: dict[str, list[str]]
) -> None:
    assert {scope: path for scope, path in routes.items() if scope not in held} == {}


def test_no_client_holds_a_scope_that_nothing_asks_for(
    routes: dict[str, str], held: dict[str, list[str]]
) -> None:
    assert {scope: clients for scope, clients in held.items() if scope not in routes} == {}


def test_scopes_are_named_alike(routes: dict[str, str]) -> None:
    """``<service>:<capability>:<read|write>``; operations and bulk jobs are the same on all services."""
    assert [scope for scope in routes if SHAPE.fullmatch(scope) is None] == []


def test_only_operators_hold_operations(held: dict[str, list[str]]) -> None:
    assert set(held["ops"]) <= {"ops", "auditor"}


def test_writing_auditors_are_none() -> None:
    """The auditor reads everything and writes nothing but what operations need."""
    (auditor,) = [
        each for each in load_clients(ROOT / "deploy/local/organisations.yaml") if each.client_id == "auditor"
    ]
    assert not [scope for scope in auditor.scopes if scope.endswith(":write")]


@pytest.mark.parametrize(
    "source",
    [
        'x = Depends(authorised("collection:roster:read"))',
        'READ = "collection:roster:read"\nx = Depends(authorised(READ))',
        'require_scope(principal, "collection:roster:read")',
        'if principal.allows("collection:roster:read"): pass',
        'x = authorised(f"{service}:roster:read", "collection:roster:read")',
    ],
)
def test_the_search_finds_each_way_of_asking(source: str) -> None:
    assert list(asked(source)) == ["collection:roster:read"]
