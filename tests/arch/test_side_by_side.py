"""``make test`` runs every test once, as two processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.side_by_side import FIRST, TOO_LONG, closing, ended, folders, halves, worse


def test_every_folder_with_tests_is_in_one_half() -> None:
    """None forgotten, none twice, none in the list that is not there any more."""
    first, second = halves(folders())
    assert sorted([*first, *second]) == folders()
    assert sorted(first) == sorted(FIRST)
    assert second


def test_closing_lines_are_added_up() -> None:
    one = "....\n= 2 failed, 2990 passed, 8 skipped in 1411.20s (0:23:31) ="
    other = "= 3 passed in 0.01s =\n== 374 passed in 1531.34s (0:25:31) =="
    assert closing([one, other]) == "===== 2 failed, 3364 passed, 8 skipped in 1531.34s ====="
    assert closing(["5 passed in 0.10s", "1 skipped in 0.20s"]) == "===== 5 passed, 1 skipped in 0.20s ====="


def test_a_half_that_broke_off_has_no_part_in_a_closing_line() -> None:
    assert closing(["= 5 passed in 0.10s =", "collecting ..."]) == ""


@pytest.mark.parametrize(
    ("codes", "whole"),
    [((0, 0), 0), ((1, 0), 1), ((0, 2), 2), ((0, 5), 0), ((5, 5), 5), ((5, 1), 1), ((0, -15), 15)],
)
def test_whichever_half_fails_fails_the_whole(codes: tuple[int, int], whole: int) -> None:
    """Nothing selected (5) fails only where both have nothing; a signal counts as a failure."""
    assert worse(codes) == whole


def test_a_run_that_takes_too_long_is_broken_off() -> None:
    """A failed test may leave something that waits for ever where its fixtures end."""
    quick = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    hangs = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        quick.wait(60)
        assert ended([hangs, quick], 0.1) == [TOO_LONG, 1]
    finally:
        hangs.communicate(b"\n")
    assert ended([hangs], 0.1) == [0]
