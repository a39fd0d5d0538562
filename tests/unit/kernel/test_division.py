"""Administrative divisions and campaign ids (architecture §3, growth)."""

from __future__ import annotations

import pytest

from shared.kernel.division import campaign_id, county, is_division, parse_campaign, town, within


@pytest.mark.parametrize("code", ["370406", "370406101", "370406101201"])
def test_counties_towns_and_villages_are_divisions(code: str) -> None:
    assert is_division(code)


@pytest.mark.parametrize("code", ["", "37040", "3704061", "370406101201\n", "37040610120a", "３７０４０６"])
def test_everything_else_is_not(code: str) -> None:
    assert not is_division(code)


def test_prefixes_name_county_and_town() -> None:
    assert county("370406101201") == "370406"
    assert town("370406101201") == "370406101"


def test_a_scope_covers_itself_and_what_lies_inside() -> None:
    assert within("370406101201", "370406")
    assert within("370406101201", "3704")
    assert within("370406101201", "")
    assert not within("370406101201", "370407")
    assert not within("370406", "370406101")


def test_campaign_ids_go_there_and_back() -> None:
    assert campaign_id("370406", 2020) == "370406-2020"
    assert parse_campaign("370406-2020") == ("370406", 2020)
    assert parse_campaign("370406101-2020") == ("370406101", 2020)


@pytest.mark.parametrize("text", ["370406", "370406-20", "370406101201-2020", "370406-2020\n", "x-2020"])
def test_what_is_no_campaign_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a campaign id"):
        parse_campaign(text)
