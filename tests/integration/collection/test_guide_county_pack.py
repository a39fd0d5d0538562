"""docs/guides/policy-packs.md, "Write your county's pack": every command and request of it, in order (D-59)."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.__main__ import app
from services.collection.app import SERVICE
from shared.testing.service import MemoryService, memory_service
from tests.integration.collection.conftest import SCOPES

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "policy-packs.md"
BLOCK = re.compile(r"```(console|http)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """``$ liangxian …`` and lines that its output holds."""

    arguments: list[str]
    shown: list[str]


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its status and a word of the answer. body: JSON, or a CSV file of several lines."""

    method: str
    path: str
    body: str
    status: int
    word: str


def steps() -> list[Command | Request]:
    """The guide's blocks, in order."""
    found: list[Command | Request] = []
    for kind, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        found += _commands(text) if kind == "console" else _requests(text)
    return found


def _commands(text: str) -> list[Command | Request]:
    found: list[Command | Request] = []
    for part in text.split("$ liangxian ")[1:]:
        line, *shown = part.strip().splitlines()
        found.append(Command(shlex.split(line), shown))
    return found


def _requests(text: str) -> list[Command | Request]:
    found: list[Command | Request] = []
    for part in text.strip().split("\n\n"):
        asked, _, answered = part.partition("\n→ ")
        line, _, file = asked.partition("\n")
        method, path, *body = line.split(" ", 2)
        status, word = answered.strip().split(" ", 1)
        found.append(Request(method, path, file or "".join(body), int(status), word))
    return found


def run(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, command.arguments, env={"COLUMNS": "200", "TERM": "dumb"})
    for line in command.shown:
        assert line in result.output, f"{command.arguments}: {result.output}"


async def send(request: Request, service: MemoryService, key: str) -> None:
    table = request.path.partition("?")[0].endswith(":import")
    headers = {"Idempotency-Key": key, "Content-Type": "text/csv" if table else "application/json"}
    async with service.client(SCOPES, organisation="tax") as client:
        response = await client.request(
            request.method, request.path, content=request.body.encode() or None, headers=headers
        )
    assert response.status_code == request.status, f"{request.path}: {response.text}"
    assert request.word in response.text, f"{request.path}: {response.text}"
    await service.settle()


async def test_every_step_of_the_guide_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A county's pack from the first check to next year's copy (D-06, D-49, D-59, I-01, I-02)."""
    shutil.copy(GUIDE.parent / "example-county.yaml", tmp_path)
    keys = itertools.count()
    done = {Command: 0, Request: 0}
    async with memory_service(SERVICE, settings=SERVICE.settings(rehearsal=True, packs=tmp_path)) as service:
        for step in steps():
            if isinstance(step, Command):
                run(step, tmp_path, monkeypatch)
            else:
                await send(step, service, f"guide-{next(keys)}")
            done[type(step)] += 1
    assert done[Command] >= 12
    assert done[Request] >= 14
