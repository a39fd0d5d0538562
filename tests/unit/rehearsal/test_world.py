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
CLIENTS = ("channel-wechat", "channel-pos", "village-agent", "bank", "treasury", "finance", "police")
Answer = Callable[[httpx.Request, Any], httpx.Response]


class Service:
    """A stub of the four services: keeps what it was asked, answers as told, forgets nothing under a key.

    A file is done as soon as it is handed in; ``failures`` holds refused rows by path.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[str, Answer] = {}
        self.failures: dict[str, list[str]] = {}
        self.lost = 0
        self._kept: dict[str, httpx.Response] = {}
        self._files: dict[str, str] = {}

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t"})
        if path.startswith("/imports/"):
            return self._import(path)
        body = _body(request)
        key = request.headers.get("Idempotency-Key", "")
        self.asked.append((path, key, body))
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
        answer = self.answers.get(path, _received)(request, body)
        if isinstance(body, list):
            self._files[key] = path
            answer = httpx.Response(202, json={"import_id": key})
        if key:
            self._kept[key] = answer
        return answer

    def _import(self, path: str) -> httpx.Response:
        name, _, rest = path.removeprefix("/imports/").partition("/")
        failures = self.failures.get(self._files[name], [])
        if rest == "failures.csv":
            text = "\r\n".join(["row_number,code,rule,field", *failures])
            return httpx.Response(200, text=text, headers={"content-type": "text/csv"})
        rows = next(len(body) for _, key, body in self.asked if key == name)
        status = {"state": "DONE", "rows": rows, "accepted": rows - len(failures), "refused": len(failures)}
        return httpx.Response(200, json=status)

    def forget(self, path: str) -> None:
        """The answers given for a path were never given."""
        for key in [key for asked, key, _ in self.asked if asked == path]:
            self._kept.pop(key, None)

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, _, body in self.asked if asked == path]

    def keys(self, path: str) -> list[str]:
        return [key for asked, key, _ in self.asked if asked == path]


def _body(request: httpx.Request) -> Any:
    """A JSON body; the rows of a file."""
    if not request.content:
        return None
    if "ndjson" in request.headers.get("content-type", ""):
        return [json.loads(line) for line in request.content.splitlines()]
    return json.loads(request.content)


def _received(_: httpx.Request, body: Any) -> httpx.Response:
    order_no = body.get("order_no", "") if isinstance(body, dict) else ""
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


def agents(world: World) -> None:
    row = {"agent": AGENT, "village": VILLAGE, "account_ref": "ACC", "receipts": "CASH_AGENT"}
    world.register_agents(CAMPAIGN, [row])


async def test_an_order_is_asked_first_and_taken_once(service: Service) -> None:
    world = world_on(service)
    for _ in range(3):
        order = await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
        assert (order.state, order.payment_id) == ("TAKEN", "WECHAT-o1")
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
    assert len(set(service.keys("/payments"))) == 1
    assert cell(world) == [("medical", "2019-10-28", "WECHAT", 1, 26000, 0)]


async def test_a_rehearsed_lost_answer_is_told_from_another_answer(service: Service) -> None:
    world = world_on(service)
    order = await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()], repeat="lost")
    assert order.repeated == "SAME_ANSWER"
    answers = iter([{"payment_id": "P-1"}, {"payment_id": "P-2"}])
    service.answers["/payments"] = lambda _request, _body: httpx.Response(201, json=next(answers))
    forgetful = service.handle

    def without_memory(request: httpx.Request) -> httpx.Response:
        service._kept.clear()
        return forgetful(request)

    service.handle = without_memory  # type: ignore[method-assign]
    other = await world_on(service).pay("WECHAT", "o2", CAMPAIGN, AT, [line()], repeat="lost")
    assert other.repeated == "OTHER_ANSWER"


@pytest.mark.parametrize(("status", "repeated"), [(200, "SAME_ANSWER"), (201, "OTHER_ANSWER")])
async def test_a_channel_that_answers_twice_must_hear_of_the_first(
    service: Service, status: int, repeated: str
) -> None:
    """The same order under another key is answered as before, with 200."""
    answers = iter([201, status])
    service.answers["/payments"] = lambda _request, _body: httpx.Response(
        next(answers), json={"payment_id": "WECHAT-o1"}
    )
    order = await world_on(service).pay("WECHAT", "o1", CAMPAIGN, AT, [line()], repeat="twice")
    assert order.repeated == repeated
    assert len(set(service.keys("/payments"))) == 2


async def test_money_taken_unasked_is_on_the_day_file(service: Service) -> None:
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()], asked=False)
    assert service.bodies("/payments") == []
    for _ in range(2):
        await world.send_day_files(CAMPAIGN, DAY)
    first, second = service.bodies("/channels/WECHAT/day-files")
    assert first == second
    assert (first["total_count"], first["total_fen"]) == (1, 26000)


async def test_a_file_that_forgets_an_order_is_followed_by_one_that_has_it(service: Service) -> None:
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    await world.pay("WECHAT", "o2", CAMPAIGN, AT, [line("p2")])
    await world.send_day_files(CAMPAIGN, DAY, left_out=["o2"])
    await world.send_day_file("WECHAT", CAMPAIGN, DAY, ["o2"], "-2")
    first, second = service.bodies("/channels/WECHAT/day-files")
    assert [row["order_no"] for row in first["lines"]] == ["o1"]
    assert [row["order_no"] for row in second["lines"]] == ["o2"]
    assert first["file_no"] != second["file_no"]


async def test_a_late_channel_sends_nothing_on_its_day(service: Service) -> None:
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    assert (await world.send_day_files(CAMPAIGN, DAY, late=["WECHAT"]))["moved"] == 0
    assert (await world.send_day_files(CAMPAIGN, DAY))["moved"] == 1


async def test_a_killed_world_writes_the_same_receipt_again(service: Service, tmp_path: Path) -> None:
    """Killed between asking and the answer: the form, the order and its key stay the same."""
    path = tmp_path / "world.sqlite"
    first = world_on(service, path)
    agents(first)
    await first.pay("CASH_AGENT", "o1", CAMPAIGN, AT, [line()], agent=AGENT)
    first.books.open_order("CASH_AGENT", "o2", CAMPAIGN, AT, [line("p2")], agent=AGENT)
    first.books.close()
    again = world_on(service, path)
    order = await again.pay("CASH_AGENT", "o2", CAMPAIGN, AT, [line("p2")], agent=AGENT)
    assert (order.state, order.serial_no) == ("TAKEN", "000002")
    await again.pay("CASH_AGENT", "o3", CAMPAIGN, AT, [line("p3")], agent=AGENT)
    serials = [body["receipt"]["serial_no"] for body in service.bodies("/payments")]
    assert serials == ["000001", "000002", "000003"]
    (book,) = again.books.statement(CAMPAIGN)["receipts"]
    assert (book["first"], book["last"], book["count"]) == ("000001", "000003", 3)


async def test_a_refused_order_leaves_its_form_in_the_book(service: Service) -> None:
    world = world_on(service)
    agents(world)
    service.answers["/payments"] = _refused("ALREADY_PAID")
    await world.pay("CASH_AGENT", "o1", CAMPAIGN, AT, [line()], agent=AGENT)
    service.answers["/payments"] = _received
    order = await world.pay("CASH_AGENT", "o2", CAMPAIGN, AT, [line()], agent=AGENT)
    assert order.serial_no == "000001"


async def test_a_day_is_closed_once_however_often_it_is_asked(service: Service) -> None:
    world = world_on(service)
    agents(world)
    both = [line(), line("p1", "pension", 30000)]
    await world.pay("CASH_AGENT", "o1", CAMPAIGN, AT, both, agent=AGENT)
    for _ in range(2):
        assert (await world.close_day(CAMPAIGN, DAY, misfits={AGENT: -10000}))["slips"] == 2
    deposits = world.books.statement(CAMPAIGN)["deposits"]
    assert [(row["insurance"], row["fen"]) for row in deposits] == [("medical", 16000), ("pension", 30000)]
    first, second = service.bodies("/deposits:import")
    assert first == second
    assert world.books.balance("DECLARATION", CAMPAIGN) == 46000


# -- the mass -------------------------------------------------------------------------------------------


def owed(person: str, insurance: str, fen: int, standing: str = "") -> dict[str, Any]:
    return {
        "person_id": person, "insurance": insurance, "year": 2020, "village": VILLAGE,
        "personal_fen": fen, "refused": "", "paid_standing": standing,
    }  # fmt: skip


def order(number: str, *persons: str, channel: str = "WECHAT", agent: str = "") -> dict[str, Any]:
    return {
        "channel": channel, "order_no": number, "agent": agent, "paid_at": AT, "persons": list(persons),
        "insurances": ["medical", "pension"],
    }  # fmt: skip


async def test_a_village_is_learnt_once_and_paid_by_one_file_per_channel(service: Service) -> None:
    """The mass: bills from the obligations, a file of orders per channel and day, nothing twice."""
    bills = [owed("p1", "medical", 26000), owed("p1", "pension", 30000), owed("p2", "medical", 0)]
    service.answers["/obligations"] = _page(*bills, owed("p3", "medical", 13000))
    world = world_on(service)
    agents(world)
    orders = [
        order("o1", "p1", "p2"),
        order("o2", "p2"),
        order("o3", "p3", channel="CASH_AGENT", agent=AGENT),
    ]
    for _ in range(2):
        assert await world.plan_orders(CAMPAIGN, VILLAGE, orders) == 2
    answer = await world.take_day(CAMPAIGN, DAY)
    assert (answer["orders"], answer["refused"]) == (2, [])
    assert (await world.take_day(CAMPAIGN, DAY))["moved"] == 0
    cash, online = service.bodies("/payments:import")
    assert cash[0]["receipt"] == {"book_no": f"B-{AGENT}", "serial_no": "000001"}
    assert [row["amount_fen"] for row in online[0]["lines"]] == [26000, 30000]
    assert not online[0]["captured"]
    assert sorted(cell(world)) == [
        ("medical", "2019-10-28", "CASH_AGENT", 1, 13000, 0),
        ("medical", "2019-10-28", "WECHAT", 1, 26000, 0),
        ("pension", "2019-10-28", "WECHAT", 1, 30000, 0),
    ]
    assert world.books.balance("CHANNEL", CAMPAIGN) == 56000


async def test_a_refused_row_is_tried_without_whoever_it_was_refused_for(service: Service) -> None:
    """One of a family has died: the others pay without him, by themselves."""
    service.answers["/obligations"] = _page(owed("p1", "medical", 26000), owed("p2", "medical", 26000))
    service.failures["/payments:import"] = ["1,PERSON_DECEASED,I-16,lines.0"]
    world = world_on(service)
    await world.plan_orders(CAMPAIGN, VILLAGE, [order("o1", "p1", "p2")])
    service.answers["/obligations"] = _page(owed("p2", "medical", 26000))
    assert (await world.take_day(CAMPAIGN, DAY))["refused"] == ["PERSON_DECEASED"]
    (alone,) = service.bodies("/payments")
    assert [row["person_id"] for row in alone["lines"]] == ["p2"]
    assert cell(world) == [("medical", "2019-10-28", "WECHAT", 1, 26000, 0)]


async def test_a_file_handed_in_before_a_kill_is_the_same_file_after_it(
    service: Service, tmp_path: Path
) -> None:
    """Killed before the answer was noted: the same key, the same rows, money taken once."""
    service.answers["/obligations"] = _page(owed("p1", "medical", 26000))
    path = tmp_path / "world.sqlite"
    first = world_on(service, path)
    await first.plan_orders(CAMPAIGN, VILLAGE, [order("o1", "p1")])
    await first.take_day(CAMPAIGN, DAY)
    with first.books.transaction() as db:
        db.execute("UPDATE orders SET state = 'PLANNED'")
    first.books.close()
    await world_on(service, path).take_day(CAMPAIGN, DAY)
    one, two = service.bodies("/payments:import")
    assert one == two
    assert len(set(service.keys("/payments:import"))) == 1


VOUCHER = {
    "voucher_no": "V-1", "cycle": 1, "campaign": CAMPAIGN, "village": "", "insurance": "medical",
    "source": "CHANNEL", "count": 1, "fen": 26000,
}  # fmt: skip


def steps(service: Service) -> list[tuple[str, str]]:
    return [(row["voucher_no"], row["step"]) for rows in service.bodies("/vouchers:import") for row in rows]


async def test_the_bank_debits_once_and_only_what_is_on_the_account(service: Service) -> None:
    world = world_on(service)
    service.answers["/vouchers"] = _page(VOUCHER)
    assert await world.debit_vouchers(CAMPAIGN, DAY) == {"moved": 0, "debited": 0, "short": 1}
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    assert await world.debit_vouchers(CAMPAIGN, DAY) == {"moved": 1, "debited": 1, "short": 0}
    assert await world.debit_vouchers(CAMPAIGN, DAY) == {"moved": 0, "debited": 0, "short": 0}
    assert world.books.balance("CHANNEL", CAMPAIGN) == 0
    assert steps(service) == [("V-1", "debited"), ("V-1", "remitted")]


async def test_an_entry_before_its_remittance_is_refused_and_comes_again(service: Service) -> None:
    """I-23: the treasury's file about a voucher comes before the bank's."""
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    service.answers["/vouchers"] = _page(VOUCHER)
    service.failures["/vouchers:import"] = ["1,VOUCHER_STATE,IS_ISSUED,"]
    with pytest.raises(UnexpectedAnswerError):  # the stub refuses the bank's file as well
        await world.debit_vouchers(CAMPAIGN, DAY, hasty=True)
    service.failures.clear()
    await world.debit_vouchers(CAMPAIGN, DAY)
    await world.pay("WECHAT", "o2", CAMPAIGN, AT, [line("p2")])
    service.answers["/vouchers"] = _page({**VOUCHER, "voucher_no": "V-2"})
    await world.debit_vouchers(CAMPAIGN, DAY + dt.timedelta(days=1), hasty=True)  # once in a campaign
    assert [step for _, step in steps(service)].count("in-treasury") == 1
    (refusal,) = world.books.statement(CAMPAIGN)["refusals"]
    assert (refusal["subject"], refusal["code"]) == ("V-1", "VOUCHER_STATE")
    assert steps(service)[0] == ("V-1", "in-treasury")


@pytest.mark.parametrize("named", ["V-1", "CHANNEL"])
async def test_the_treasury_sends_a_voucher_back_once(service: Service, named: str) -> None:
    """Scenario 10: rejected, the money is on the account again; reissued it is entered."""
    world = world_on(service)
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    service.answers["/vouchers"] = _page(VOUCHER)
    await world.debit_vouchers(CAMPAIGN, DAY)
    later = DAY + dt.timedelta(days=1)
    assert (await world.enter(CAMPAIGN, DAY, [named]))["moved"] == 0
    assert await world.enter(CAMPAIGN, later, [named]) == {"moved": 1, "entered": 0, "rejected": ["V-1"]}
    assert world.books.balance("CHANNEL", CAMPAIGN) == 26000
    service.answers["/vouchers"] = _page({**VOUCHER, "cycle": 2})
    await world.debit_vouchers(CAMPAIGN, later)
    assert (await world.enter(CAMPAIGN, later + dt.timedelta(days=1), [named]))["entered"] == 1
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
