"""Logs: JSON, correlated, masked by field, type and look; rate-limited (architecture §5 and §6)."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.kernel.clock import SeededRuntime
from shared.observability.logging import bound, configure, current_correlation, logger
from shared.observability.masking import MASKED, mask_text, masked
from shared.security.vault import PersonalIdentity
from shared.testing.http import MARKED_NAME, MARKED_NUMBER, MARKED_PHONE, assert_no_personal_data


class Sink:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.runtime = SeededRuntime(1)
        configure("collection", self.runtime, "INFO", self.stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def sink() -> Iterator[Sink]:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield Sink()
    structlog.reset_defaults()
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)


def test_a_line_is_json_with_service_level_and_correlation(sink: Sink) -> None:
    with bound(correlation="c1"):
        logger("m").info("page_applied", events=12)
        assert current_correlation() == "c1"
    logger("m").info("after")
    first, second = sink.lines()
    assert first | {"ts": 0} == {
        "event": "page_applied",
        "events": 12,
        "correlation": "c1",
        "service": "collection",
        "level": "info",
        "module": "m",
        "ts": 0,
    }
    assert "correlation" not in second
    assert current_correlation() == ""


def test_personal_data_does_not_reach_a_line(sink: Sink) -> None:
    """By field name at any depth, by type, and by what a value looks like."""
    person = PersonalIdentity(MARKED_NAME, MARKED_NUMBER, MARKED_PHONE)
    logger("m").info(
        "given",
        name=MARKED_NAME,
        person=person,
        nested={"payer_name": MARKED_NAME, "list": [{"Phone": "x", "text": f"call {MARKED_PHONE}!"}]},
        text=f"number {MARKED_NUMBER} refused",
        error=ValueError(MARKED_NAME),
        raw=MARKED_NAME.encode(),
        bag={person: 1} if False else [person],
    )
    assert_no_personal_data(sink.stream.getvalue())
    (line,) = sink.lines()
    assert (line["name"], line["person"], line["error"]) == (MASKED, "<PersonalIdentity>", "ValueError")


def test_an_exception_is_logged_as_type_and_place(sink: Sink) -> None:
    try:
        raise ValueError(MARKED_NUMBER)
    except ValueError as fault:
        logger("m").error("failed", exc_info=fault)
        logger("m").exception("failed_too")
    first, second = sink.lines()
    assert (first["error"], first["at"].startswith("tests") or "test_logging" in first["at"]) == (
        "ValueError",
        True,
    )
    assert second["error"] == "ValueError"
    assert_no_personal_data(sink.stream.getvalue())


def test_libraries_lines_have_the_same_shape_and_mask(sink: Sink) -> None:
    logging.getLogger("aiokafka").warning("member %s left", MARKED_NUMBER)
    (line,) = sink.lines()
    assert (line["event"], line["level"], line["text"]) == (
        "library:aiokafka",
        "warning",
        f"member {MASKED} left",
    )


async def test_a_flood_is_held_back_and_counted(sink: Sink) -> None:
    """20 of a kind at once, then 5 a second; the next line that passes says how many were held back."""
    for _ in range(100):
        logger("m").warning("broker_away")
    logger("m").warning("something_else")
    assert len(sink.lines()) == 21
    await sink.runtime.sleep(1.0)
    logger("m").warning("broker_away")
    assert sink.lines()[-1]["suppressed"] == 80


def test_levels_below_the_set_one_are_silent(sink: Sink) -> None:
    logger("m").debug("detail")
    assert sink.lines() == []


@pytest.mark.parametrize(
    "text",
    [
        "0192e3b4-1390-7000-8139-000099991111",
        "V-370406-2020-wechat-20191101",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "position 370406199001",
        "9.13900009999e3",
    ],
)
def test_ids_and_codes_are_left_alone(text: str) -> None:
    assert mask_text(text) == text


def test_tokens_are_masked() -> None:
    assert mask_text("Bearer eyJhbGci.eyJzdWIi.abc-_1") == f"Bearer {MASKED}"


def test_depth_is_bounded() -> None:
    deep: list[Any] = []
    deep.append(deep)
    assert MASKED in json.dumps(masked(deep))
