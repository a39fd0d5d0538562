"""Every command and request of the guides is run as it stands, on a system of its own (issue: a first hour).

A ``sh`` block runs in one shell with all that came before it; each line of the ``text`` block behind it must be in
what it printed. Blocks marked ``long`` take a whole campaign: they are run at a village's size by
tests/faults/system, and here only their options are checked.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from deploy.cli.__main__ import app
from deploy.local.processes import python

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
HOURS = ("integrator", "operator", "load-tester", "integrate")
SECONDS = 600
_BLOCK = re.compile(r"^```(\w+)( long)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"\b81(0[1-4]|10)\b")
MARK = "@@block "


@dataclass(frozen=True)
class Step:
    """A block of commands, whether it takes long, and what must be in its answer."""

    commands: str
    long: bool
    answers: tuple[str, ...]


def steps_of(guide: str) -> list[Step]:
    """The steps of a guide, in order."""
    steps: list[Step] = []
    for kind, long, body in _BLOCK.findall((GUIDES / f"{guide}.md").read_text(encoding="utf-8")):
        if kind == "sh":
            steps.append(Step(body, bool(long), ()))
        elif kind == "text":
            last = steps.pop()
            steps.append(Step(last.commands, last.long, tuple(body.splitlines())))
    return steps


def free_ports() -> int:
    """The first of ten ports in a row that nobody listens on."""
    for base in range(8600, 9600, 10):
        with socket.socket() as probe:
            if all(probe.connect_ex(("127.0.0.1", base + offset)) for offset in range(10)):
                return base
    pytest.fail("no ten free ports in a row")


def script_of(steps: list[Step], base: int) -> str:
    """One shell script of all that does not take long, its ports moved out of others' way."""
    blocks = [f"echo '{MARK}{number}'\n{step.commands}" for number, step in enumerate(steps) if not step.long]
    text = "set -euo pipefail\n" + "\n".join(blocks)
    text = _PORT.sub(lambda found: str(base + int(found[0]) - 8101), text)
    return text.replace("liangxian up", f"liangxian up --port-base {base}")


def environment(folder: Path) -> dict[str, str]:
    """``liangxian`` and ``python`` of this interpreter; the guides' own PATH line finds nothing better."""
    tools = folder / "tools"
    tools.mkdir()
    for name, command in (("liangxian", f"{python()} -m deploy.cli"), ("python", python())):
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        (tools / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.processes
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash"
)
@pytest.mark.parametrize("guide", HOURS)
def test_a_first_hour_goes_as_it_is_written(guide: str, tmp_path: Path) -> None:
    """Up, every request, down; what the guide says is answered, is."""
    steps = steps_of(guide)
    around = environment(tmp_path)
    try:
        done = subprocess.run(
            ["bash", "-c", script_of(steps, free_ports())],
            cwd=tmp_path, env=around, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    finally:
        subprocess.run([sys.executable, "-m", "deploy.cli", "down", "--data", tmp_path / ".liangxian"],
                       cwd=tmp_path, env=around, capture_output=True, timeout=120, check=False)  # fmt: skip
    told = dict(part.split("\n", 1) for part in done.stdout.split(MARK)[1:])
    assert done.returncode == 0, f"after step {max(map(int, told), default=0)}: {done.stderr[-2000:]}"
    for number, step in enumerate(steps):
        for line in step.answers:
            assert line in told[str(number)], f"{line} is not in the answer to:\n{step.commands}"


@pytest.mark.parametrize("guide", HOURS)
def test_long_commands_exist_with_their_options(guide: str) -> None:
    """``liangxian`` takes the arguments as they are written, and ``make`` knows the target."""
    command = typer.main.get_command(app)
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for step in steps_of(guide):
        for line in step.commands.splitlines() if step.long else ():
            words = shlex.split(line)
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", targets, re.MULTILINE), line
                continue
            assert words[0] == "liangxian", line
            sub = command.commands[words[1]]  # type: ignore[attr-defined]
            options = {name for each in sub.params for name in each.opts}
            assert {word for word in words[2:] if word.startswith("--")} <= options, line


def test_every_guide_is_linked_from_the_readme() -> None:
    """Both languages."""
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        for guide in (*HOURS, "policy-packs"):
            assert f"docs/guides/{guide}.md" in text, (readme, guide)


def test_the_readmes_name_only_what_make_and_the_command_line_have() -> None:
    """Commands of the READMEs exist."""
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        made = re.findall(r"\bmake ([a-z-]+)", text)
        assert {"demo", "test"} <= set(made)
        for target in made:
            assert re.search(rf"^{target}:", targets, re.MULTILINE), target
        for name in re.findall(r"`(?:\.venv/bin/)?liangxian ([a-z-]+)", text):
            assert name in commands, name
