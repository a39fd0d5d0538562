"""A pack written as a file is the same pack; a copy for another year says so."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.policy import Pack, check_pack, copy_to_year, dump, is_synthetic, load_packs, revise
from shared.policy.loading import parse

PACKS = load_packs().values()


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.id)
def test_a_written_pack_is_read_back_as_itself(pack: Pack) -> None:
    """D-59: a file anyone may edit; the digest is the content's, not the layout's."""
    text = dump(pack, "by hand\nsecond line")
    assert text.startswith("# by hand\n# second line\nid: ")
    assert parse(text).digest == pack.digest


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.id)
def test_a_copy_for_next_year_is_sound_and_marked(pack: Pack) -> None:
    """Years chain: amounts stay, dates move, and nobody can take it for a plan that was issued."""
    year = pack.insured_year + 1
    copy = copy_to_year(pack, f"XX-{year}", year)
    assert check_pack(copy) == []
    assert is_synthetic(copy)
    assert not is_synthetic(pack)
    assert copy.standard_fen == pack.standard_fen
    assert copy.window("medical").start == pack.window("medical").start.replace(
        year=pack.window("medical").start.year + 1
    )
    assert (copy.year_start, copy.age_date) == (dt.date(year, 1, 1), dt.date(year - 1, 12, 31))
    assert copy.task_table is None
    assert copy.document.documents[0].role == "synthetic"
    assert all(document.issued is None for document in copy.document.documents)


def test_the_copy_of_2025_closes_its_window_a_year_later() -> None:
    """003:L32, D-13: SC-2025 for 2026, with its late rule from 1 January 2026."""
    sc = next(pack for pack in PACKS if pack.id == "SC-2025")
    copy = copy_to_year(sc, "SC-2026", 2026)
    assert copy.window("medical").end == dt.date(2025, 12, 31)
    late = copy.parameter("late_from")
    assert late is not None
    assert late.value == "2026-01-01"


def test_a_copy_is_named_after_its_year() -> None:
    """The id says the year; packs of two years are never mixed up."""
    with pytest.raises(ValueError, match="-2026"):
        copy_to_year(next(iter(PACKS)), "SC-2025", 2026)


def test_a_revised_pack_can_be_written() -> None:
    """D-06: the next version with its parameter's source, as a file for the packs folder."""
    st = next(pack for pack in PACKS if pack.id == "ST-2020")
    second = revise(st, {"medical_fiscal_subsidy_yuan": 520}, "EXT:test")
    read = parse(dump(second))
    assert (read.version, read.digest) == (2, second.digest)
