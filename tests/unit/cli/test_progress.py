"""Progress of long commands, and what Ctrl-C says (issue: progress bars on every long step, resumable after Ctrl-C)."""

from __future__ import annotations

import datetime as dt
import io
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from deploy.cli.output import Exit
from deploy.cli.progress import LINE_SECONDS as EVERY
from deploy.cli.progress import Told, stages
from deploy.rehearsal import watching
from deploy.rehearsal.watching import Lines, step_name, watcher_for

CODE = """
import anyio, typer
from deploy.cli.output import run

app = typer.Typer()

async def work():
    try:
        print("started", flush=True)
        await anyio.sleep(60)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0)
            print("stopped what it had started", flush=True)

@app.command()
def long_command() -> None:
    run(work, "已中断，再次运行即继续 / interrupted: run it again to go on")

app()
"""


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_ctrl_c_cleans_up_and_says_how_to_go_on() -> None:
    """Exit code 130, the sentence on stderr, no traceback; what was started is stopped first."""
    child = subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    child.send_signal(signal.SIGINT)
    out, told = child.communicate(timeout=30)
    assert child.returncode == Exit.INTERRUPTED
    assert "stopped what it had started" in out
    assert "再次运行即继续" in told
    assert "Traceback" not in told


def test_a_log_gets_a_line_per_stage_and_no_flood() -> None:
    """A thousand parts told in a moment are one line; a new stage is one at once."""
    lines: list[str] = []
    clock = Clock()
    told = Told(lines.append, clock)
    for part in range(1000):
        told("读取日志 / reading", part, 1000)
    told("核对 / judging")
    clock.seconds += EVERY
    told("核对 / judging", 5, 9)
    assert lines == ["读取日志 / reading", "核对 / judging", "核对 / judging 5/9"]


def test_a_terminal_gets_a_bar() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with stages(console) as told:
        told("读取日志 / reading", 3, 4)
        told("核对 / judging")
    assert "judging" in screen.getvalue()


def test_lines_come_weekly_and_when_it_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a minute show how far they are; those of a moment do not."""
    shown, clock = io.StringIO(), Clock()
    lines = Lines(shown, clock)
    for number in range(1, 10):
        lines.day(dt.date(2024, 10, number), number, 9)
        lines.step(f"2024-10-0{number}/payments")
        lines.payments(1000)
    lines.progress(10, 100)
    clock.seconds += watching.LINE_SECONDS
    lines.progress(20, 100)
    assert shown.getvalue().splitlines() == [
        "2024-10-01  1/9 天 days  0 笔 orders",
        "2024-10-08  8/9 天 days  7,000 笔 orders",
        "2024-10-09  9/9 天 days  8,000 笔 orders",
        "2024-10-09  9/9 天 days  缴费 payments 20/100",
    ]


def test_a_run_on_a_terminal_has_two_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days and the step under way."""
    screen = io.StringIO()
    monkeypatch.setattr(
        watching,
        "Console",
        lambda stderr: Console(file=screen, force_terminal=True, width=120, legacy_windows=False),
    )
    with watcher_for(None) as shown:
        shown.day(dt.date(2024, 10, 1), 1, 82)
        shown.step("2024-10-01/payments")
        shown.progress(3, 7)
        shown.payments(1234)
    text = screen.getvalue()
    for words in ("2024-10-01", "0/82", "缴费 payments", "3/7", "1,234 笔 orders"):
        assert words in text


def test_steps_have_names_for_people() -> None:
    assert step_name("2019-10-28/begin-day") == "日切 begin the day"
    assert step_name("2019-10-28/sign-roster") == "sign-roster"


def test_parts_that_run_beside_one_another_are_told_apart() -> None:
    """An audit hears a log while the services replay: each part has its line, and no flood of them."""
    told_lines: list[str] = []
    clock = Clock()
    told = Told(told_lines.append, clock)
    for number in range(1, 50):
        told("读 / reading", number, 100)
        told("重放 / replaying", number, 200)
    clock.seconds += EVERY
    told("读 / reading", 50, 100)
    assert told_lines == ["读 / reading", "重放 / replaying", "读 / reading 50/100"]
