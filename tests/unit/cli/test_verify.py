"""``liangxian verify``: what --since may say."""

from __future__ import annotations

import pytest
import typer

from deploy.cli.auditing import since_of
from deploy.cli.output import Exit


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0", 0),
        ("1200", 1200),
        ("registration=5", {"registration": 5}),
        ("registration=5, collection=9", {"registration": 5, "collection": 9}),
    ],
)
def test_since_is_a_position_or_one_per_service(text: str, first: int | dict[str, int]) -> None:
    """Interfaces, ``verify --since POS``; the report's own ``positions`` are written the same way."""
    assert since_of(text) == first


@pytest.mark.parametrize("text", ["", "-1", "x", "treasury=5", "registration", "registration=x"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.Exit) as ended:
        since_of(text)
    assert ended.value.exit_code == Exit.USAGE
