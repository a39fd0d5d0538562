"""The outside world repeats itself harmlessly: lost answers, restarts and second calls change no book."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.rehearsal.books import Books, Line
from deploy.rehearsal.clients import Services, UnexpectedAnswerError
from deploy.rehearsal.outside import World

CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
AGENT = "A-1"
DAY = dt.date(2019, 10, 28)
AT = "2019-10-28T10:00:00+08:00"
CLIENTS = ("channel-wechat", "village-agent", "bank", "treasury", "finance", "police")
Answer = Callable[[httpx.Request, Any], httpx.Response]


class Service:
    """A stub of the four services: keeps what it was asked, answers as told, forgets nothing under a key."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[str, Answer] = {}
        self.lost = 0
        self._kept: dict[str, httpx.Response] = {}

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t"})
        body = json.loads(request.content) if request.content else None
        key = request.headers.get("Idempotency-Key", "")
        self.asked.append((request.url.path, key, body))
        if self.lost:
            self.lost -= 1
            raise httpx.ReadTimeout("lost", request=request)
        known = self._kept.get(key)
        if key and known is not None:
            return httpx.Response(
                known.status_code,
                content=known.content,
                headers={**known.headers, "Idempotency-Replayed": "true"},
            )
        answer = self.answers.get(request.url.path, _received)(request, body)
        if key:
            self._kept[key] = answer
        return answer

    def forget(self, path: str) -> None:
        """The answers given for a path were never given."""
        for key in [key for asked, key, _ in self.asked if asked == path]:
            self._kept.pop(key, None)

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, _, body in self.asked if asked == path]


def _received(_: httpx.Request, body: Any) -> httpx.Response:
    order_no = body.get("order_no", "") if body else ""
    return httpx.Response(201, json={"payment_id": f"P-{order_no}", "status": "RECEIVED"})


def _refused(code: str, status: int = 409) -> Answer:
    return lambda _request, _body: httpx.Response(status, json={"code": code})


def _page(*items: dict[str, Any]) -> Answer:
    return lambda _request, _body: httpx.Response(200, json={"items": list(items), "next": None})


@pytest.fixture
def service() -> Service:
    return Service()


def world_on(service: Service, path: Path | None = None) -> World:
    http = httpx.AsyncClient(transport=httpx.MockTransport(service.handle))
    names = ("registration", "collection", "subsidy", "notification")
    services = Services(
        {name: f"http://{name}" for name in names},
        dict.fromkeys(CLIENTS, "secret"),
        http,
        patience_seconds=2.0,
    )
    return World(Books.connect(path), services)


def line(person: str = "p1", insurance: str = "medical", fen: int = 26000) -> Line:
    return Line(person, VILLAGE, insurance, 2020, fen)


def cell(world: World) -> list[tuple[str, str, str, int, int, int]]:
    rows = world.books.statement(CAMPAIGN)["rows"]
    return [
        (row["insurance"], row["date"], row["channel"], row["count"], row["fen"], row["refunded_fen"])
        for row in rows
    ]


async def test_an_order_is_asked_first_and_taken_once(service: Service) -> None:
    world = world_on(service)
    for _ in range(3):
        order = await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
        assert (order.state, order.payment_id) == ("TAKEN", "P-o1")
    assert len(service.bodies("/payments")) == 1
    assert cell(world) == [("medical", "2019-10-28", "WECHAT", 1, 26000, 0)]


async def test_a_refused_order_takes_no_money(service: Service) -> None:
    """Channels ask before the money is final; on 4xx they take none."""
    service.answers["/payments"] = _refused("PERSON_DECEASED")
    world = world_on(service)
    order = await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    assert (order.state, order.code) == ("REFUSED", "PERSON_DECEASED")
    assert cell(world) == []


async def test_a_lost_answer_is_asked_again_under_the_same_key(service: Service) -> None:
    service.lost = 2
    world = world_on(service)
    order = await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    assert order.state == "TAKEN"
    assert len({key for path, key, _ in service.asked if path == "/payments"}) == 1
    assert cell(world) == [("medical", "2019-10-28", "WECHAT", 1, 26000, 0)]


async def test_a_rehearsed_lost_answer_is_told_from_another_answer(service: Service) -> None:
    world = world_on(service)
    order = await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()], lose_answer=True)
    assert order.repeated == "SAME_ANSWER"
    answers = iter([{"payment_id": "P-1"}, {"payment_id": "P-2"}])
    service.answers["/payments"] = lambda _request, _body: httpx.Response(201, json=next(answers))
    service._kept.clear()
    forgetful = service.handle

    def without_memory(request: httpx.Request) -> httpx.Response:
        service._kept.clear()
        return forgetful(request)

    service.handle = without_memory  # type: ignore[method-assign]
    other = await world_on(service).pay("WECHAT", "o2", CAMPAIGN, AT, [line()], lose_answer=True)
    assert other.repeated == "OTHER_ANSWER"


async def test_money_taken_unasked_is_on_the_day_file(service: Service) -> None:
    service.answers["/channels/WECHAT/day-files"] = lambda _request, _body: httpx.Response(201, json={})
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()], asked=False)
    assert service.bodies("/payments") == []
    for _ in range(2):
        await world.send_day_file("WECHAT", CAMPAIGN, DAY)
    first, second = service.bodies("/channels/WECHAT/day-files")
    assert first == second
    assert (first["total_count"], first["total_fen"]) == (1, 26000)


async def test_a_killed_world_writes_the_same_receipt_again(service: Service, tmp_path: Path) -> None:
    """Killed between asking and the answer: the form, the order and its key stay the same."""
    path = tmp_path / "world.sqlite"
    first = world_on(service, path)
    await first.collect(AGENT, "o1", CAMPAIGN, AT, [line()])
    first.books.open_order("CASH_AGENT", "o2", CAMPAIGN, AT, [line("p2")], agent=AGENT)
    first.books.close()
    again = world_on(service, path)
    order = await again.collect(AGENT, "o2", CAMPAIGN, AT, [line("p2")])
    assert (order.state, order.serial_no) == ("TAKEN", "000002")
    await again.collect(AGENT, "o3", CAMPAIGN, AT, [line("p3")])
    serials = [body["receipt"]["serial_no"] for body in service.bodies("/payments")]
    assert serials == ["000001", "000002", "000003"]
    assert [row["serial_no"] for row in again.books.statement(CAMPAIGN)["receipts"]] == serials


async def test_a_refused_order_leaves_its_form_in_the_book(service: Service) -> None:
    world = world_on(service)
    service.answers["/payments"] = _refused("ALREADY_PAID")
    await world.collect(AGENT, "o1", CAMPAIGN, AT, [line()])
    service.answers["/payments"] = _received
    order = await world.collect(AGENT, "o2", CAMPAIGN, AT, [line()])
    assert order.serial_no == "000001"


async def test_a_day_is_closed_once_however_often_it_is_asked(service: Service) -> None:
    world = world_on(service)
    await world.collect(AGENT, "o1", CAMPAIGN, AT, [line(), line("p1", "pension", 30000)])
    for _ in range(2):
        answer = await world.close_day(AGENT, VILLAGE, CAMPAIGN, DAY, DAY, "ACC", {"medical": -10000})
        assert len(answer["slips"]) == 2
    deposits = world.books.statement(CAMPAIGN)["deposits"]
    assert [(row["insurance"], row["fen"]) for row in deposits] == [("medical", 16000), ("pension", 30000)]
    service.answers["/deposits:import"] = lambda _request, _body: httpx.Response(201, json={"refused": []})
    await world.send_deposit_file(CAMPAIGN, DAY)
    await world.send_deposit_file(CAMPAIGN, DAY)
    first, second = service.bodies("/deposits:import")
    assert first == second


VOUCHER = {
    "voucher_no": "V-1", "cycle": 1, "campaign": CAMPAIGN, "village": VILLAGE, "insurance": "medical",
    "source": "CHANNEL", "count": 1, "fen": 26000,
}  # fmt: skip


async def test_the_bank_debits_once_and_only_what_is_on_the_account(service: Service) -> None:
    world = world_on(service)
    service.answers["/vouchers"] = _page(VOUCHER)
    assert await world.debit_vouchers(CAMPAIGN, DAY) == {"moved": 0, "debited": 0, "short": 1}
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    assert await world.debit_vouchers(CAMPAIGN, DAY) == {"moved": 1, "debited": 1, "short": 0}
    assert await world.debit_vouchers(CAMPAIGN, DAY) == {"moved": 0, "debited": 0, "short": 0}
    assert world.books.balance("CHANNEL", CAMPAIGN) == 0
    assert len(service.bodies("/vouchers/V-1:debited")) == 1
    assert len(service.bodies("/vouchers/V-1:remitted")) == 1


async def test_the_treasury_sends_a_named_voucher_back_once(service: Service) -> None:
    """Scenario 10: rejected, the money is on the account again; reissued it is entered."""
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    service.answers["/vouchers"] = _page(VOUCHER)
    await world.debit_vouchers(CAMPAIGN, DAY)
    later = DAY + dt.timedelta(days=1)
    assert (await world.enter(CAMPAIGN, DAY, ["V-1"]))["moved"] == 0
    assert await world.enter(CAMPAIGN, later, ["V-1"]) == {"moved": 1, "entered": 0}
    assert world.books.balance("CHANNEL", CAMPAIGN) == 26000
    service.answers["/vouchers"] = _page({**VOUCHER, "cycle": 2})
    await world.debit_vouchers(CAMPAIGN, later)
    assert (await world.enter(CAMPAIGN, later + dt.timedelta(days=1), ["V-1"]))["entered"] == 1
    statement = world.books.statement(CAMPAIGN)
    assert [row["fen"] for row in statement["treasury"]] == [26000]
    assert [row["cycle"] for row in statement["treasury_returned"]] == [1]


async def test_a_refund_waits_while_its_money_is_on_the_way(service: Service) -> None:
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    refund = {
        "refund_no": "F-1", "campaign": CAMPAIGN, "payment_line_id": "WECHAT-o1/1",
        "insurance": "medical", "fen": 26000,
    }  # fmt: skip
    service.answers["/refunds"] = _page(refund)
    service.answers["/refunds/F-1:paid"] = _refused("INVALID_STATE")
    assert await world.pay_refunds(CAMPAIGN, DAY) == {"moved": 0, "paid": 0, "waiting": 1}
    assert cell(world)[0][-1] == 0
    service.answers["/refunds/F-1:paid"] = _received
    later = DAY + dt.timedelta(days=7)
    assert await world.pay_refunds(CAMPAIGN, later) == {"moved": 1, "paid": 1, "waiting": 0}
    assert await world.pay_refunds(CAMPAIGN, later) == {"moved": 0, "paid": 0, "waiting": 0}
    assert cell(world) == [("medical", "2019-10-28", "WECHAT", 1, 26000, 26000)]


async def test_a_refund_whose_answer_was_lost_is_paid_though_nobody_lists_it_any_more(
    service: Service, tmp_path: Path
) -> None:
    """Killed between collection's answer and the own book: the next process tells it again (architecture §5)."""
    world = world_on(service, tmp_path / "world.sqlite")
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    refund = {
        "refund_no": "F-1", "campaign": CAMPAIGN, "payment_line_id": "WECHAT-o1/1",
        "insurance": "medical", "fen": 26000,
    }  # fmt: skip
    service.answers["/refunds"] = _page(refund)
    service.answers["/refunds/F-1:paid"] = _refused("KILLED", 418)
    with pytest.raises(UnexpectedAnswerError):
        await world.pay_refunds(CAMPAIGN, DAY)
    service.forget("/refunds/F-1:paid")
    service.answers |= {"/refunds": _page(), "/refunds/F-1:paid": _received}
    again = world_on(service, tmp_path / "world.sqlite")
    assert await again.pay_refunds(CAMPAIGN, DAY) == {"moved": 1, "paid": 1, "waiting": 0}
    assert cell(again) == [("medical", "2019-10-28", "WECHAT", 1, 26000, 26000)]


async def test_an_answer_nobody_expects_is_an_error(service: Service) -> None:
    world = world_on(service)
    service.answers["/deaths"] = _refused("NOT_FOUND", 404)
    with pytest.raises(UnexpectedAnswerError):
        await world.report_death("p1", DAY, DAY)
