"""What villages show without a period (000:L149-151, L204-206): only where the plan asks for it, once."""

from __future__ import annotations

import datetime as dt

from services.notification.notices import events as e
from services.notification.notices.publishing import (
    PRIOR_YEAR,
    SUBSIDY_LIST,
    Publication,
    Publish,
    evolve_publication,
    publish,
)
from shared.kernel.errors import Refusal
from shared.policy import load_pack

TODAY = dt.date(2017, 11, 7)
PRIOR = Publish(PRIOR_YEAR, "370406101-2018", "370406101201", 2017, 820, 14_760_000)
LISTED = Publish(SUBSIDY_LIST, "370406101-2018", "370406101201", 2018, 12, about="L-1")


def test_last_years_payments_are_shown_where_the_plan_says_so() -> None:
    """上年度缴费情况公示 (000:L149-151); the same totals again say nothing new, others do."""
    shown = publish(Publication(), PRIOR, load_pack("DZ-2018"), TODAY)
    assert isinstance(shown, list)
    [event] = shown
    assert isinstance(event, e.PriorYearPaymentsPublished)
    assert (event.year, event.persons, event.fen) == (2017, 820, 14_760_000)
    assert event.publication_id == "N-PRIOR_YEAR-370406101-2018.370406101201"
    state = evolve_publication(Publication(), event)
    assert publish(state, PRIOR, load_pack("DZ-2018"), TODAY) == []
    more = Publish(PRIOR_YEAR, PRIOR.campaign, PRIOR.village, 2017, 821, 14_778_000)
    assert len(publish(state, more, load_pack("DZ-2018"), TODAY)) == 1  # type: ignore[arg-type]


def test_subsidy_lists_are_shown_by_list() -> None:
    """资助名单公示 (000:L204-206)."""
    shown = publish(Publication(), LISTED, load_pack("DZ-2018"), TODAY)
    assert isinstance(shown, list)
    [event] = shown
    assert isinstance(event, e.SubsidyListPublicised)
    assert (event.list_id, event.persons) == ("L-1", 12)


def test_other_plans_have_no_such_publication() -> None:
    """ST-2020 prints neither."""
    for command in (PRIOR, LISTED):
        refused = publish(Publication(), command, load_pack("ST-2020"), TODAY)
        assert isinstance(refused, Refusal)
        assert refused.code == "STEP_NOT_IN_PLAN"
