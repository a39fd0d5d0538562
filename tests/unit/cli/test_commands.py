"""``liangxian``: one JSON object on stdout, exit codes, Chinese first; what is for later is absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.cli.__main__ import app
from deploy.cli.output import Exit
from shared.policy import load_packs

PACKS = sorted(load_packs())
QUESTIONS: dict[str, list[str]] = {
    "DZ-2018": ["--paid-at", "2017-11-20", "--channel", "CASH_AGENT"],
    "ST-2020": ["--paid-at", "2019-11-02", "--channel", "WECHAT"],
    "DZ-2022": ["--paid-at", "2021-12-01", "--channel", "ALIPAY"],
    "YC-2023": ["--paid-at", "2022-11-01", "--channel", "WECHAT"],
    "SC-2025": ["--paid-at", "2024-11-01", "--channel", "WECHAT"],
}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answer(result: Result) -> dict[str, Any]:
    """The one object on stdout."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def ask(pack: str, *more: str) -> Result:
    return call(
        "assess",
        "--pack",
        pack,
        "--insurance",
        "medical",
        "--birth",
        "1980-05-01",
        *QUESTIONS[pack],
        "--json",
        *more,
    )


@pytest.mark.parametrize("pack", PACKS)
def test_assess_answers_for_every_pack(pack: str) -> None:
    """Interfaces, assess --json: what is due, its legs, and why with clauses."""
    result = ask(pack)
    told = answer(result)
    assert result.exit_code == Exit.OK
    assert told["outcome"] == "due"
    assert sum(leg["fen"] for leg in told["legs"]) == told["standard_fen"]
    assert told["pack"]["id"] == pack
    assert all(line["clause"] for line in told["explanation"])


def test_a_refused_assessment_ends_with_1() -> None:
    """I-05: an employee is not assessed; the refusal names its rule."""
    result = ask("ST-2020", "--employee-insured")
    assert result.exit_code == Exit.DIFFERENCE
    assert answer(result)["refusal"]["code"] == "EMPLOYEE_INSURED"


def test_people_get_chinese_first() -> None:
    result = call(
        "assess",
        "--pack",
        "ST-2020",
        "--insurance",
        "medical",
        "--birth",
        "1980-05-01",
        *QUESTIONS["ST-2020"],
    )
    assert result.stdout.startswith("应缴标准 / standard: 260.00 元")


@pytest.mark.parametrize(
    "arguments",
    [
        (
            "assess",
            "--pack",
            "XX-1999",
            "--insurance",
            "medical",
            "--birth",
            "1980-05-01",
            *QUESTIONS["ST-2020"],
        ),
        ("assess", "--pack", "ST-2020"),
        ("packs", "show", "XX-1999"),
        ("packs", "check", "nowhere.yaml"),
        ("clock", "advance", "--to", "tomorrow"),
        ("demo", "--pack", "XX-1999"),
        ("demo", "--place", "无此镇"),
        ("demo", "--scale", "3"),
        ("rehearse",),
        ("simulate", "--seeds", "9..1"),
    ],
)
def test_usage_faults_end_with_2(arguments: tuple[str, ...]) -> None:
    """rehearse and simulate are for a later issue: absent, not empty."""
    assert call(*arguments).exit_code == Exit.USAGE


@pytest.mark.parametrize("command", ["status", "verify"])
def test_nothing_running_ends_with_3(command: str, tmp_path: Path) -> None:
    assert call(command, "--data", str(tmp_path)).exit_code == Exit.UNREACHABLE


@pytest.mark.parametrize("arguments", [("lag",), ("dead-letters", "list", "--service", "collection")])
def test_an_unreachable_service_ends_with_3(
    arguments: tuple[str, ...], tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens on the port; an operator's tool waits seconds, not minutes."""
    monkeypatch.setattr("deploy.cli.operations.PATIENCE_SECONDS", 0.2)
    result = call(*arguments, "--data", str(tmp_path), "--port-base", str(unused_tcp_port))
    assert result.exit_code == Exit.UNREACHABLE


def test_down_of_nothing_says_so(tmp_path: Path) -> None:
    result = call("down", "--data", str(tmp_path), "--json")
    assert (result.exit_code, answer(result)) == (Exit.OK, {"stopped": False})


def test_packs_are_listed_with_digests() -> None:
    listed = answer(call("packs", "list", "--json"))["packs"]
    assert sorted(each["id"] for each in listed) == PACKS
    assert all(len(each["digest"]) == 64 for each in listed)


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_shows_terms_aliases_and_sources(pack: str) -> None:
    shown = answer(call("packs", "show", pack, "--json"))
    assert all(each["code"] and each["term"] for each in shown["categories"])
    assert all(each["clause"] for each in shown["parameters"])
    assert call("packs", "show", pack).exit_code == Exit.OK


def test_packs_differ_by_path() -> None:
    changes = answer(call("packs", "diff", "DZ-2018", "ST-2020", "--json"))["changes"]
    assert "medical.personal.value" in {each["path"] for each in changes}


def test_a_broken_pack_file_ends_with_1(tmp_path: Path) -> None:
    """I-01: tiers must rise."""
    source = Path("shared/policy/packs/ST-2020.yaml").read_text(encoding="utf-8")
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        source.replace("{yuan: 300, matching_yuan: 30", "{yuan: 90, matching_yuan: 30"), encoding="utf-8"
    )
    result = call("packs", "check", str(broken), "--json")
    assert result.exit_code == Exit.DIFFERENCE
    assert answer(result)["faults"]


def test_every_command_explains_itself_in_chinese_first() -> None:
    """The commands scripts rely on are there, each with help."""
    names = {
        "up", "down", "status", "demo", "verify", "assess", "trace", "lag", "replay", "token", "packs list",
        "packs show", "packs check", "packs diff", "dead-letters list", "dead-letters show", "dead-letters fix",
        "dead-letters replay", "dead-letters discard", "relay resend", "clock show", "clock advance",
    }  # fmt: skip
    for name in names:
        result = call(*name.split(), "--help")
        assert result.exit_code == Exit.OK, name
        assert any("\u4e00" <= character <= "\u9fff" for character in result.stdout), name


def test_packs_of_ones_own_are_listed_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-59: what LIANGXIAN_PACKS holds stands beside the five; a faulty file is named."""
    monkeypatch.setenv("LIANGXIAN_PACKS", str(tmp_path))
    copied = call("packs", "copy", "SC-2025", "--year", "2026", "--out", str(tmp_path / "SC-2026.yaml"))
    assert copied.exit_code == Exit.OK, copied.output
    listed = answer(call("packs", "list", "--json"))["packs"]
    assert [pack["id"] for pack in listed] == [*sorted(PACKS, key=lambda pack: pack[-4:]), "SC-2026"]
    shown = answer(call("packs", "show", "SC-2026", "--json"))
    assert shown["documents"][0]["role"] == "synthetic"
    again = call("packs", "copy", "SC-2025", "--year", "2026", "--out", str(tmp_path / "SC-2026.yaml"))
    assert again.exit_code == Exit.USAGE, "nothing is written over"
    (tmp_path / "broken.yaml").write_text("id: [", encoding="utf-8")
    assert call("packs", "list").exit_code == Exit.USAGE
