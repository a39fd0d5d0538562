"""docs/asyncapi.yaml describes what is published: complete, up to date, clean, and true of real messages.

The AsyncAPI CLI runs where it is installed (``make asyncapi-deps``, or ``asyncapi`` on the path); then a fault
fails. kcat and a real Kafka read in tests/contract/asyncapi/test_on_the_wire.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from shared.contracts.topics import TOPICS
from shared.messaging.asyncapi import asyncapi, asyncapi_yaml
from shared.messaging.catalogue import contract_types

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"
OWN = ROOT / ".tools" / "asyncapi" / "node_modules" / ".bin" / "asyncapi"
SECONDS = 240


def test_the_committed_document_is_what_the_contracts_say() -> None:
    """Else: ``liangxian asyncapi --out docs/asyncapi.yaml``."""
    assert DOCUMENT.read_text(encoding="utf-8") == asyncapi_yaml()


def test_every_contract_and_topic_is_described_in_both_languages() -> None:
    """A message nobody can read about cannot be published; every topic carries at least one."""
    document = asyncapi()
    assert {each["name"] for each in document["components"]["messages"].values()} == set(contract_types())
    addresses = {each["address"] for each in document["channels"].values()}
    assert addresses == {topic.name for topic in TOPICS}
    for channel in document["channels"].values():
        assert channel["messages"], channel["address"]
    for message in document["components"]["messages"].values():
        assert message["summary"] != message["title"], f"{message['name']} has no docstring"


def test_every_reference_leads_somewhere() -> None:
    """No dangling $ref, whatever reads it."""
    document = asyncapi()
    for reference in _references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_every_payload_is_a_schema_that_tells_wrong_from_right() -> None:
    """Draft 2020-12; an envelope without its data is refused by each."""
    document = asyncapi()
    for name, message in document["components"]["messages"].items():
        schema = {**message["payload"], "components": document["components"]}
        assert not jsonschema_rs.validator_for(schema).is_valid({"type": "other"}), name


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []


@pytest.mark.timeout(SECONDS + 30)
def test_the_asyncapi_cli_finds_nothing_to_say(tmp_path: Path) -> None:
    """Its own linter, down to information."""
    command = str(OWN) if OWN.exists() else shutil.which("asyncapi")
    if command is None:
        pytest.skip("no AsyncAPI CLI: make asyncapi-deps (needs node 20 and npm)")
    done = subprocess.run(
        [command, "validate", str(DOCUMENT), "--fail-severity=info"],
        cwd=tmp_path, env={**os.environ, "CI": "true", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "is valid" in done.stdout


def test_the_document_is_one_yaml_document() -> None:
    """As other tools will load it."""
    assert yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))["asyncapi"] == asyncapi()["asyncapi"]
