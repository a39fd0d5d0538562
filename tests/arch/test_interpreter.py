"""Which Python `make` builds the environment with (README, "on a fresh machine")."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "deploy/local/interpreter.sh"


def pretender(folder: Path, name: str, answer: str) -> str:
    """A program that answers as an interpreter asked for its speed does."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def chosen(*candidates: str) -> str:
    """What the script prints."""
    command = ["/bin/sh", str(SCRIPT), *candidates]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_the_first_found_stays_unless_another_is_quicker_by_a_tenth(tmp_path: Path) -> None:
    first = pretender(tmp_path, "python3", "echo 1000")
    hardly = pretender(tmp_path, "python3.12", "echo 901")
    clearly = pretender(tmp_path, "python3.11", "echo 899")
    assert chosen(first, hardly) == first
    assert chosen(first, hardly, clearly) == clearly


def test_what_cannot_carry_the_project_is_passed_over(tmp_path: Path) -> None:
    old = pretender(tmp_path, "python3", "exit 1")
    good = pretender(tmp_path, "python3.13", "echo 1000")
    assert chosen(str(tmp_path / "none"), old, good) == good
    assert chosen(old) == ""


def test_a_real_interpreter_says_how_long_its_work_takes() -> None:
    real = getattr(sys, "_base_executable", sys.executable)
    assert chosen(real) == shutil.which(real)


def test_make_asks_it() -> None:
    lines = (SCRIPT.parents[2] / "Makefile").read_text(encoding="utf-8").splitlines()
    assert "PYTHON ?= $(shell sh deploy/local/interpreter.sh)" in lines
