"""The ban on undetermined sources and on floats as money, shown on planted lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.arch.determinism import EDGES, PORTS, findings, main

ROOT = Path(__file__).parents[2]
SERVICE = "services/collection/payments/domain.py"

UNDETERMINED = {
    "datetime.now": "import datetime as dt\ndef f(): return dt.datetime.now(dt.UTC)",
    "datetime.now, imported class": "from datetime import datetime\nx = datetime.now()",
    "datetime.now, handed on": "import datetime\nx = dict(default=datetime.datetime.now)",
    "utcnow": "import datetime\nx = datetime.datetime.utcnow()",
    "date.today": "from datetime import date as day\nx = day.today()",
    "time.time": "import time as clock\nx = clock.time()",
    "time.time, imported": "from time import time",
    "time.monotonic": "import time\nx = time.monotonic()",
    "time.sleep": "import time\ntime.sleep(1)",
    "asyncio.sleep": "import asyncio\nasync def f(): await asyncio.sleep(1)",
    "asyncio.create_task": "import asyncio\nasyncio.create_task(f())",
    "a task group": "import asyncio\nasync def f():\n  async with asyncio.TaskGroup() as g: g.h()",
    "create_task of a loop": "def f(loop): loop.create_task(g())",
    "uuid": "import uuid\nx = uuid.uuid4()",
    "uuid, imported": "from uuid import uuid4 as new",
    "random": "import random",
    "random, inside a function": "def f():\n  from random import Random\n  return Random()",
    "secrets": "from secrets import token_hex",
    "os.urandom": "import os\nx = os.urandom(16)",
    "a thread": "from threading import Thread",
    "hash of a string": "partition = hash(key) % 6",
    "order of a set": "for person in {'a', 'b'}: f(person)",
    "order of a set, comprehension": "x = [f(p) for p in set(people)]",
}
INEXACT = {
    "annotated name": "due_fen: float = 0",
    "annotated argument": "def pay(amount: float | None): ...",
    "annotated result": "def due_fen() -> float: ...",
    "true division": "share = total_fen / 2",
    "float factor": "late = line.due_fen * 1.5",
    "conversion": "x = float(due_fen)",
    "given as argument": "pay(amount_fen=1.5)",
}


@pytest.mark.parametrize("source", UNDETERMINED.values(), ids=UNDETERMINED)
def test_a_planted_source_is_found(source: str) -> None:
    """architecture §5: time, ids, randomness and scheduling through ports only."""
    assert findings(source, SERVICE)


@pytest.mark.parametrize("source", UNDETERMINED.values(), ids=UNDETERMINED)
def test_ports_and_edges_may(source: str) -> None:
    for path in (*PORTS, *(f"{edge}anything.py" for edge in EDGES)):
        assert findings(source, path) == []


@pytest.mark.parametrize("source", INEXACT.values(), ids=INEXACT)
def test_inexact_money_is_found_everywhere(source: str) -> None:
    for path in (SERVICE, PORTS[0], "deploy/rehearsal/world.py"):
        assert findings(source, path)


@pytest.mark.parametrize(
    "source",
    [
        "import datetime as dt\nx = dt.datetime(2020, 1, 1)\ny = dt.date.fromisoformat(text)",
        "async def f(runtime): await runtime.sleep(1); runtime.start(g(), 'name')",
        "import time\nx = time.struct_time",
        "import asyncio\nx = asyncio.Event()",
        "now = clock.now()\ntoday = clock.today()",
        "for person in sorted({'a', 'b'}): f(person)",
        "rate: float = paid_persons / persons\nhalf = total_fen // 2",
        "def f(seconds: float): ...",
    ],
)
def test_what_is_allowed_is_not_found(source: str) -> None:
    assert findings(source, SERVICE) == []


def test_a_finding_says_where_and_what_instead() -> None:
    (found,) = findings("import time\n\nx = time.time()", SERVICE)
    assert str(found) == f"{SERVICE}:3: time.time: Runtime.timestamp"


def test_a_simulation_is_no_edge() -> None:
    """The four services in one process replay from a seed: nothing there may ask the machine."""
    assert findings("import random", "deploy/simulation/world.py")


def test_looking_at_nothing_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["services"], tmp_path) == 2
    assert "no Python file" in capsys.readouterr().out


def test_the_exit_code_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "services").mkdir()
    file = tmp_path / "services" / "clean.py"
    file.write_text("x = 1\n", encoding="utf-8")
    assert main(["services"], tmp_path) == 0
    file.write_text("import random\n", encoding="utf-8")
    assert main(["services"], tmp_path) == 1
    assert "services/clean.py:1: random" in capsys.readouterr().out


def test_the_checkout_keeps_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["services", "shared", "deploy"], ROOT) == 0, capsys.readouterr().out
