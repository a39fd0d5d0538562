"""The verdict: what is compared, what counts, what fails a run (issue 5, load testers)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.load.auditing import MoneyAudit, compare
from deploy.load.connections import Answer
from deploy.load.figures import curve, percentile, summary
from deploy.load.orders import Kind, Orders, Sent, mix_of
from deploy.load.payers import Due, Payers, poisson
from deploy.load.profiles import Profile
from deploy.load.rehearse import Objectives, beside_faults, is_loopback, judge
from deploy.load.rendering import render
from deploy.load.running import Outcome, unresolved
from deploy.load.watching import Watch
from deploy.rehearsal.script import SCRIPTS
from shared.policy import load_packs

FEN = 40_000
DAY = dt.date(2024, 11, 1)
PACK = load_packs()["SC-2025"]
AGENTS = "A-{village}-1"


def order(number: str, answer: Answer = Answer(201), **kept: Any) -> Sent:  # noqa: B008 - frozen
    """An order of one line, answered half a second after it was due."""
    given: dict[str, Any] = {
        "kind": Kind.ORDER, "order_no": number, "channel": "WECHAT", "village": "370406001201",
        "lines": (Due(f"p-{number}", "medical", 2025, FEN),), "request": b"", "due": 1.0,
        "paid_at": "2024-11-01T20:00:00+08:00", "done": 1.5, "answer": answer,
    }  # fmt: skip
    return Sent(**{**given, **kept})


def shown(sent: Sent, **changed: Any) -> Mapping[str, Any]:
    """The line the target shows of it."""
    due = sent.lines[0]
    return {
        "person_id": due.person_id, "insurance": due.insurance, "year": due.year, "fen": due.fen,
        "village": sent.village, "channel": sent.channel, "paid_on": sent.paid_at[:10],
    } | changed  # fmt: skip


def test_a_run_whose_money_is_all_there_is_clean() -> None:
    """Each accepted order once, a refused one not at all."""
    taken, refused = order("1"), order("2", Answer(409, code="ALREADY_PAID"))
    audit = compare([taken, refused], {"1": [shown(taken)]}, target=0)
    assert audit.clean
    assert (audit.accepted, audit.accepted_fen, audit.shown_fen) == (1, FEN, FEN)


def test_a_late_callback_is_final_money_whatever_was_answered() -> None:
    """What a channel holds already may not be refused: its order is missing when nothing shows it."""
    late = order("1", Answer(409, code="OUTSIDE_WINDOW"), kind=Kind.LATE)
    audit = compare([order("2"), late], {"2": [shown(order("2"))]}, target=0)
    assert (audit.clean, audit.missing, audit.own_unaccounted_fen) == (False, 1, FEN)
    assert compare([late], {"1": [shown(late)]}, target=0).clean


@pytest.mark.parametrize(
    ("profile", "steps", "faults"),
    [
        (Profile.LAST_DAY, [], 0),
        (
            Profile.DAY_CLOSE,
            [{"step": "bank-file", "refused": 0}, {"step": "treasury-file", "refused": 0}],
            0,
        ),
        (Profile.DAY_CLOSE, [{"step": "bank-file", "refused": 2}], 3),
        (Profile.OUTAGE, [{"step": "window-extended", "status": 201}], 0),
        (Profile.OUTAGE, [{"step": "window-extended", "status": 403}], 1),
        (Profile.OUTAGE, [], 1),
    ],
)
def test_what_a_profile_does_beside_the_payments_is_judged(
    profile: Profile, steps: list[Mapping[str, Any]], faults: int
) -> None:
    """Files that were not sent, refused rows and a window that stayed fail the run."""
    assert beside_faults(profile, steps) == faults
    judged = {row["objective"]: row["met"] for row in judge(Objectives(), GOOD, CLEAN, faults)}
    assert judged["beside_faults"] is (faults == 0)


@pytest.mark.parametrize(
    ("fault", "placed", "unaccounted"),
    [
        ("missing", {}, FEN),
        ("repeated", {"1": [shown(order("1")), shown(order("1"))]}, FEN),
        ("differing", {"1": [shown(order("1"), fen=FEN - 1)]}, 1),
        ("phantom", {"1": [shown(order("1"))], "2": [shown(order("2"))]}, FEN),
    ],
)
def test_money_that_is_not_where_it_was_told_is_found(
    fault: str, placed: dict[str, list[Mapping[str, Any]]], unaccounted: int
) -> None:
    """201 and absent, twice, other than told; or refused and there."""
    sent = [order("1"), order("2", Answer(409, code="ALREADY_PAID"))]
    audit = compare(sent, placed, target=0)
    assert not audit.clean
    assert getattr(audit, fault) == 1
    assert audit.own_unaccounted_fen == unaccounted
    assert audit.examples[0].startswith(fault)


def test_plus_and_minus_never_cancel() -> None:
    """One fen too much in a village and one too little in another are two."""
    a, b = order("1"), order("2", village="370406001202")
    placed = {"1": [shown(a, fen=FEN + 1)], "2": [shown(b, fen=FEN - 1)]}
    audit = compare([a, b], placed, target=0)
    assert audit.shown_fen == audit.accepted_fen
    assert audit.own_unaccounted_fen == 2


def test_an_order_repeated_while_its_first_answer_was_lost_counts_once() -> None:
    """No answer, then the repetition's 201: the order is taken, once."""
    first = order("1", Answer(0))
    again = order("1", kind=Kind.SAME_KEY, of=first)
    audit = compare([first, again], {"1": [shown(first)]}, target=0)
    assert audit.clean
    assert (audit.orders, audit.accepted) == (1, 1)


@pytest.mark.parametrize("target", [None, 1])
def test_the_targets_own_reckoning_must_be_there_and_nothing(target: int | None) -> None:
    """A gauge nobody reckoned is no proof."""
    assert not compare([order("1")], {"1": [shown(order("1"))]}, target=target).clean


CLEAN = MoneyAudit(1, 1, FEN, FEN, 0, 0, 0, 0, 0, 0, 0, ())
GOOD: dict[str, Any] = {
    "accepted": 100, "refused": 0, "dropped": 0, "shed": 0, "server_errors": 0, "drained_seconds": 1.0,
    "latency_ms": {"p99": 20.0},
}  # fmt: skip


def test_a_good_run_passes() -> None:
    """All objectives met."""
    assert all(each["met"] for each in judge(Objectives(), GOOD, CLEAN))


@pytest.mark.parametrize(
    ("figures", "money", "missed"),
    [
        ({"latency_ms": {"p99": 100.1}}, {}, "p99_ms"),
        ({"drained_seconds": None}, {}, "drained_seconds"),
        ({"dropped": 1}, {}, "dropped"),
        ({"shed": 1}, {}, "shed"),
        ({"refused": 6}, {}, "refused_share"),
        ({"server_errors": 1}, {}, "server_errors"),
        ({"accepted": 0}, {}, "accepted"),
        ({}, {"own_unaccounted_fen": 1}, "own_unaccounted_fen"),
        ({}, {"target_unaccounted_fen": None}, "target_unaccounted_fen"),
        ({}, {"missing": 1}, "missing"),
        ({}, {"repeated": 1}, "repeated"),
        ({}, {"phantom": 1}, "phantom"),
        ({}, {"unknown": 1}, "unknown"),
    ],
)
def test_each_objective_can_fail_a_run(figures: Any, money: Any, missed: str) -> None:
    """Exactly the one that is missed."""
    judged = judge(Objectives(), GOOD | figures, dataclasses.replace(CLEAN, **money))
    assert [each["objective"] for each in judged if not each["met"]] == [missed]


def test_latency_counts_from_the_due_time_and_shed_work_stands_apart() -> None:
    """Half a second late is half a second, however fast the answer came then."""
    outcome = Outcome(sent=[order("1"), order("2", Answer(503, code="OVERLOADED"), done=1.1)], seconds=2.0)
    figures = summary(outcome, rate=1.0)
    assert figures["latency_ms"]["p99"] == 500.0
    assert figures["shed_latency_ms"]["p99"] == 100.0
    assert (figures["accepted"], figures["shed"], figures["server_errors"]) == (1, 1, 0)
    assert sum(point["offered"] for point in curve(outcome)) == 2


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0.5, 1)])
def test_percentiles_are_by_nearest_rank(percent: float, value: float) -> None:
    """Of one to a hundred."""
    assert percentile(list(range(1, 101)), percent) == value


@pytest.mark.parametrize(
    ("answer", "open_still"),
    [(Answer(0), True), (Answer(500), True), (Answer(409, code="IDEMPOTENCY_KEY_IN_USE"), True),
     (Answer(503, code="OVERLOADED"), False), (Answer(201), False), (Answer(409, code="ALREADY_PAID"), False)],
)  # fmt: skip
def test_what_is_asked_again(answer: Answer, open_still: bool) -> None:
    """Only what nobody knows; a full queue said no."""
    assert unresolved(order("1", answer)) is open_still


@pytest.mark.parametrize(
    ("target", "own"),
    [("http://127.0.0.1:8102", True), ("http://localhost:1", True), ("http://[::1]:1", True),
     ("http://10.0.0.1:8102", False), ("http://example.com", False), ("http://127.0.0.1.example.com", False)],
)  # fmt: skip
def test_only_this_machine_is_loaded_without_being_told_so(target: str, own: bool) -> None:
    """Loopback by default."""
    assert is_loopback(target) is own


def bills(villages: int, people: int) -> dict[str, list[tuple[Due, ...]]]:
    """So many villages of so many people who owe medical."""
    return {
        f"3704060012{village:02d}": [
            (Due(f"{village}-{person}", "medical", 2025, FEN),) for person in range(people)
        ]
        for village in range(villages)
    }


def drawn(count: int, seconds: float = 100.0, seed: int = 1) -> list[Sent]:
    """The first arrivals of a seed, one every ``seconds / count``."""
    orders = Orders(
        Payers(bills(10, 2000), seed), mix_of(SCRIPTS["SC-2025"], AGENTS), PACK, DAY, lambda client: client,
        run="R1", seed=seed, host="h", seconds=seconds, agents=AGENTS,
    )  # fmt: skip
    made = [orders.next(number * seconds / count) for number in range(count)]
    return [each for each in made if each is not None]


def test_a_seed_gives_the_same_arrivals() -> None:
    """Same people, channels, repetitions and bytes."""
    assert [each.request for each in drawn(300)] == [each.request for each in drawn(300)]
    assert [each.request for each in drawn(300)] != [each.request for each in drawn(300, seed=2)]


def test_nobody_pays_twice_but_by_repetition() -> None:
    """Lines of different orders are of different people; five in a hundred arrivals repeat one."""
    sent = drawn(2000)
    first = [each for each in sent if each.of is None]
    people = [line.person_id for each in first for line in each.lines]
    assert len(people) == len(set(people))
    repeats = [each for each in sent if each.of is not None]
    assert 60 <= len(repeats) <= 140
    for each in repeats:
        same_key = each.request == each.of.request  # type: ignore[union-attr]
        assert same_key is (each.kind is Kind.SAME_KEY)
        assert each.request.partition(b"\r\n\r\n")[2] == each.of.request.partition(b"\r\n\r\n")[2]  # type: ignore[union-attr]


def test_the_mix_is_that_of_a_last_day() -> None:
    """Families, a hot village, telephones in the evening, agents' terminals by day only more, late callbacks final."""
    sent = [each for each in drawn(2000) if each.of is None]
    families = sum(1 for each in sent if len(each.lines) > 1)
    assert 0.2 < families / len(sent) < 0.4
    (_, most), *_ = Counter(each.village for each in sent).most_common(1)
    assert most / len(sent) > 0.17
    at_hand = SCRIPTS["SC-2025"].at_hand
    evening = [each for each in sent if each.paid_at[11:13] >= "18"]
    day = [each for each in sent if each.paid_at[11:13] < "17"]
    assert _share(evening, at_hand) < _share(day, at_hand) / 2
    late = [each for each in sent if each.kind is Kind.LATE]
    assert 20 <= len(late) <= 100
    assert all(b'"captured":true' in each.request and each.channel not in at_hand for each in late)
    agents = next(each for each in sent if each.channel in at_hand)
    assert f'"agent":"A-{agents.village}-1"'.encode() in agents.request


def _share(sent: list[Sent], codes: frozenset[str]) -> float:
    return sum(1 for each in sent if each.channel in codes) / len(sent)


def test_when_everybody_has_paid_nobody_comes() -> None:
    """The people run out before their money is taken twice."""
    payers = Payers(bills(2, 3), 1)
    came = []
    while (household := payers.next()) is not None:
        came += [line.person_id for line in household.lines]
    assert len(came) == len(set(came)) == 6
    assert payers.left == 0


def test_arrivals_are_poisson() -> None:
    """As many as the rate says, in order, as bunched as chance is: the variance of a second's count is its mean."""
    moments = list(poisson(100, 200, random.Random(1)))
    assert moments == sorted(moments)
    counts = Counter(int(at) for at in moments)
    mean = sum(counts.values()) / 200
    variance = sum((counts[second] - mean) ** 2 for second in range(200)) / 200
    assert 97 < mean < 103
    assert 0.7 < variance / mean < 1.3


def test_the_page_says_what_missed_and_escapes_what_it_quotes() -> None:
    """A failing objective is bold; nothing of the target's is markup."""
    outcome = Outcome(sent=[order("1")], seconds=2.0)
    figures = summary(outcome, 1.0) | {
        "drained_seconds": 0.1, "reconnects": 0, "generator_cpu_seconds": 0.1, "payers_left": 1,
    }  # fmt: skip
    figures["refusal_codes"] = {"<script>": 1}
    watch = Watch()
    watch.look(0.0, {"collection": 'liangxian_relay_lag_seconds{service="collection"} 0.25\n'})
    watch.look(2.0, {})
    money = dataclasses.replace(CLEAN, missing=1, examples=("missing <b>",))
    page = render(
        {
            "run": "R1", "target": "http://127.0.0.1:1", "pack": {"id": "SC-2025"}, "campaign": "c",
            "business_day": "2024-11-01", "profile": "last-day", "rate": 1.0, "seconds": 2.0, "connections": 1,
            "seed": 1, "figures": figures, "money": dataclasses.asdict(money), "beside": [], "passed": False,
            "lag": {"every_seconds": watch.moments, "stages": watch.lag, "deepest_queue": 0, "dead_letters": 0,
                    "worst": {stage: max(values) for stage, values in watch.lag.items()}},
            "objectives": judge(Objectives(), figures, money), "curve": curve(outcome),
        }
    )  # fmt: skip
    assert "✗ 未通过" in page
    assert '<tr class="bad"><td>missing' in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page
    assert "collection 转发 relay" in page
