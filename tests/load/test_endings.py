"""How ``rehearse`` ends without a verdict: the exit code says whether orders were sent (guides/load-tester.md)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from typer.testing import CliRunner

from deploy.cli.__main__ import app
from deploy.load import rehearse as rehearsing
from deploy.load.profiles import Profile
from deploy.load.rehearse import Rehearsal, SilentTargetError, UnusableTargetError
from deploy.rehearsal.resting import RestlessError
from shared.policy import load_packs


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UnusableTargetError("too few payers"), 2),
        (httpx.ConnectError("refused"), 3),
        (SilentTargetError("3 orders were not answered"), 4),
        (RestlessError("collection"), 4),
    ],
)
def test_the_exit_code_says_why_there_is_no_verdict(
    fault: Exception, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def ending(_: Rehearsal) -> dict[str, Any]:
        raise fault

    monkeypatch.setattr("deploy.cli.rehearsing.rehearse", ending)
    arguments = ["rehearse", "--target", "http://127.0.0.1:1", "--pack", "SC-2025", "--profile", "last-day"]
    arguments += ["--rate", "5", "--seconds", "5", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == code


async def test_a_target_that_falls_silent_over_yesterdays_orders_was_sent_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Given orders of yesterday that stay unanswered, then it is no matter of usage: they may have been booked."""

    async def silent(*_: Any) -> int:
        return 3

    monkeypatch.setattr(rehearsing, "settle", silent)
    monkeypatch.setattr(rehearsing, "yesterdays", lambda *_: [SimpleNamespace()] * 5)
    asked = Rehearsal("http://127.0.0.1:1", "SC-2025", Profile.DAY_CLOSE, 10.0, 5.0, tmp_path / "secrets")
    nothing = cast("Any", None)
    run = rehearsing._Run(asked, load_packs()["SC-2025"], nothing, nothing, dt.date(2025, 1, 2))
    with pytest.raises(SilentTargetError, match="3"):
        await run._day_close(nothing, nothing, nothing, nothing)
