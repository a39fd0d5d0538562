"""Whatever is asked: legs sum to the standard, nothing is negative, the answer never changes."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.identity import Sex
from shared.policy import (
    Aid,
    AssessmentRequest,
    Hukou,
    Insurance,
    Outcome,
    Payer,
    assess,
    load_pack,
    load_packs,
)

PACKS = tuple(load_packs())
NAMES = sorted({c.code for p in load_packs().values() for c in p.document.categories} | {"低保", "?"})
DEPARTMENTS = sorted({d.code for p in load_packs().values() for d in p.document.departments})
CHANNELS = sorted({c.code for p in load_packs().values() for c in p.document.channels})
TIERS = sorted({tier for p in load_packs().values() for tier in p.tiers})
PARAMS = {
    "fiscal_subsidy": "520@x",
    "F": "150@x",
    "late_relief": "KEPT@x",
    "gov_paid_top_up": "true@x",
    "listed_60_69_yuan": "77@x",
    "late_amount_yuan": "1070@x",
    "wait_counting": "CIVIL@x",
}


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, AssessmentRequest]:
    pack_id = draw(st.sampled_from(PACKS))
    pack = load_pack(pack_id)
    year = pack.insured_year
    params = {k: v for k, v in PARAMS.items() if pack.parameter(k) is not None and draw(st.booleans())}
    request = AssessmentRequest(
        insurance=draw(st.sampled_from(Insurance)),
        birth=draw(st.dates(dt.date(year - 105, 1, 1), dt.date(year, 12, 31))),
        paid_at=draw(st.dates(dt.date(year - 1, 8, 1), dt.date(year + 1, 2, 1))),
        channel=draw(st.none() | st.sampled_from(CHANNELS)),
        categories=tuple(draw(st.lists(st.sampled_from(NAMES), max_size=3))),
        tier_yuan=draw(st.none() | st.sampled_from(TIERS)),
        sex=draw(st.none() | st.sampled_from(Sex)),
        spouse_birth=draw(st.none() | st.dates(dt.date(1930, 1, 1), dt.date(2005, 1, 1))),
        family_planning=draw(st.sampled_from([None, "one-child", "two-daughters"])),
        hukou=draw(st.sampled_from([Hukou.IN, Hukou.IN, Hukou.OUT])),
        permit=draw(st.booleans()),
        student=draw(st.booleans()) and draw(st.booleans()),
        listed=tuple(draw(st.lists(st.sampled_from(DEPARTMENTS), max_size=2))),
        params=params,
        aid=draw(st.sampled_from([(), (), (Aid(Payer.VILLAGE, 5000), Aid(Payer.SPONSOR, 1))])),
        by_agent=draw(st.booleans()),
        extended_to=draw(st.none() | st.dates(dt.date(year - 1, 12, 1), dt.date(year, 3, 1))),
    )
    return pack_id, request


@settings(max_examples=400, deadline=None, derandomize=True)
@given(questions())
def test_money_adds_up(question):
    """I-12: Σ legs = standard, each positive, one per payer; refusals carry no money."""
    pack_id, request = question
    answer = assess(load_pack(pack_id), request)
    fens = [leg.fen for leg in answer.legs]
    assert sum(fens) == answer.standard_fen
    assert all(type(fen) is int and fen > 0 for fen in fens)
    assert len({leg.payer for leg in answer.legs}) == len(answer.legs)
    assert answer.personal_fen == sum(leg.fen for leg in answer.legs if leg.payer is Payer.PERSON)
    assert min(answer.matching_subsidy_fen, answer.family_planning_fen) >= 0
    assert (answer.outcome is Outcome.REFUSED) == (answer.refusal is not None) == (not answer.legs)
    if answer.refusal is None:
        assert (answer.outcome is Outcome.DUE) == (answer.personal_fen > 0)
    else:
        assert answer.refusal.code
        assert answer.refusal.rule
        assert answer.refusal.message
    assert all(leg.clause and leg.rule for leg in answer.legs)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(questions())
def test_cover_lies_in_the_year(question):
    """I-25: from 1 January or later, to 31 December; medical only; late means a later start."""
    pack_id, request = question
    pack = load_pack(pack_id)
    answer = assess(pack, request)
    if answer.outcome is Outcome.REFUSED or request.insurance is Insurance.PENSION:
        assert answer.entitled_from is None
        assert answer.entitled_to is None
        return
    assert pack.year_start <= answer.entitled_from <= answer.entitled_to == pack.year_end
    if answer.late and request.paid_at >= pack.year_start:
        assert answer.entitled_from > request.paid_at


@settings(max_examples=200, deadline=None, derandomize=True)
@given(questions())
def test_the_same_question_has_the_same_answer(question):
    """Pure: equal answers, plain JSON in the documented shape."""
    pack_id, request = question
    first, second = (assess(load_pack(pack_id), request) for _ in range(2))
    assert first == second
    answer = json.loads(json.dumps(first.as_dict()))
    assert list(answer) == [
        "outcome",
        "pack",
        "standard_fen",
        "personal_fen",
        "legs",
        "matching_subsidy_fen",
        "family_planning_fen",
        "late",
        "entitled_from",
        "entitled_to",
        "warnings",
        "refusal",
        "explanation",
    ]
    assert answer["pack"] == {"id": pack_id, "version": 1, "digest": load_pack(pack_id).digest}
    for line in answer["explanation"]:
        assert set(line) == {"rule", "clause", "inputs", "reading", "discrepancy"}


@pytest.mark.parametrize("pack_id", PACKS)
def test_halves_are_exact(pack_id):
    """I-12: 60–69 pay exactly half (90, 130, 160, 175, 200) where the pack gives it."""
    pack = load_pack(pack_id)
    answer = assess(
        pack,
        AssessmentRequest(
            insurance=Insurance.MEDICAL,
            birth=dt.date(pack.insured_year - 66, 6, 1),
            paid_at=pack.collection.start,
            listed=("HEALTH",) if pack_id == "ST-2020" else (),
        ),
    )
    assert [leg.fen for leg in answer.legs] == [pack.standard_fen // 2] * 2
    assert answer.personal_fen * 2 == answer.standard_fen == pack.standard_fen
