"""``make test-halves`` runs what ``make test`` runs."""

from __future__ import annotations

from tests.side_by_side import FIRST, folders, halves


def test_every_folder_with_tests_is_in_one_half() -> None:
    """None forgotten, none twice, none in the list that is not there any more."""
    first, second = halves(folders())
    assert sorted([*first, *second]) == folders()
    assert sorted(first) == sorted(FIRST)
    assert second
