"""Addresses and epochs: what a restore must not confuse."""

from __future__ import annotations

import pytest

from shared.messaging.address import LogAddress, LogIdentity


def test_an_address_survives_its_text() -> None:
    assert LogAddress.parse(str(LogAddress("collection", "main", 3))) == LogAddress("collection", "main", 3)


@pytest.mark.parametrize(
    "text", ["", "collection", "collection/main", "collection/main/0", "a//1", "a/b/x", "a/b/1/2"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        LogAddress.parse(text)


def test_a_position_keeps_the_epoch_it_was_appended_in() -> None:
    """Epochs began after positions 10 and 25: 10 is of the first, 11 of the second, 26 of the third."""
    identity = LogIdentity("collection", started_after=(10, 25))
    assert [identity.address(p).epoch for p in (1, 10, 11, 25, 26)] == [1, 1, 2, 2, 3]
    assert identity.epoch == 3


def test_an_epoch_raised_twice_at_one_head_leaves_no_position_in_between() -> None:
    identity = LogIdentity("collection", started_after=(10, 10))
    assert [identity.address(p).epoch for p in (10, 11)] == [1, 3]


def test_a_lane_is_a_log_name_of_its_own() -> None:
    assert str(LogIdentity("collection").address(17, "17.0")) == "collection/main+17.0/1"
