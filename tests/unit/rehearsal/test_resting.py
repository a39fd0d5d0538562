"""Rest of four services together: reports of different moments put together, and who is asked again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.resting import RestlessError, come_to_rest, restless

PEOPLE, NOTICES = "registration.people.v1", "notification.notices.v1"


def report(drained: bool = True, parked: int = 0, **traffic: dict[str, int]) -> dict[str, Any]:
    return {"drained": drained, "parked": parked, "taken": {}, "published": {}, **traffic}


def four(**others: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {service: others.get(service, report()) for service in SERVICES}


def test_four_that_are_drained_and_agree_are_at_rest() -> None:
    sender, taker = report(published={PEOPLE: 7}), report(taken={PEOPLE: 7})
    assert restless(four(registration=sender, collection=taker)) == set()


def test_who_is_at_work_is_asked_again() -> None:
    assert restless(four(subsidy=report(drained=False))) == {"subsidy"}


def test_what_is_parked_is_no_rest_unless_it_may_stay() -> None:
    """A message set aside may be set going by another; an audit judges what lies there all the same."""
    reports = four(collection=report(parked=2))
    assert (restless(reports), restless(reports, parked=True)) == ({"collection"}, set())


def test_a_message_on_its_way_is_found_at_its_receiver() -> None:
    """The receiver answered before the sender published: it was drained and did not know."""
    sender, taker = report(published={PEOPLE: 8}), report(taken={PEOPLE: 7})
    assert restless(four(registration=sender, collection=taker)) == {"collection"}


def test_a_sender_that_went_on_after_its_report_is_asked_again() -> None:
    """The receiver has applied what the sender's report does not know of."""
    sender, taker = report(published={PEOPLE: 7}), report(taken={PEOPLE: 8})
    assert restless(four(registration=sender, collection=taker)) == {"registration"}


class Answering:
    """Four services that answer ``/ops/lag`` with these reports, one after the other; the last one stays."""

    def __init__(self, **reports: list[dict[str, Any]]) -> None:
        self.asked: list[str] = []
        self._reports = reports
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        self.services = Services({name: f"http://{name}" for name in SERVICES}, {"ops": "s"}, http)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t"})
        service = request.url.host
        self.asked.append(service)
        left = self._reports.get(service, [report()])
        return httpx.Response(200, json=left.pop(0) if len(left) > 1 else left[0])


async def test_one_look_is_enough_when_nothing_was_under_way() -> None:
    system = Answering()
    await come_to_rest(system.services, 5.0)
    assert sorted(system.asked) == sorted(SERVICES)


async def test_only_who_is_behind_is_asked_again() -> None:
    """Registration's message reached collection after its answer, and what that caused notification."""
    system = Answering(
        registration=[report(published={PEOPLE: 3})],
        collection=[report(taken={PEOPLE: 2}), report(taken={PEOPLE: 3}, published={NOTICES: 1})],
        notification=[report(taken={NOTICES: 0}), report(taken={NOTICES: 1})],
    )
    await come_to_rest(system.services, 5.0)
    assert sorted(system.asked[:4]) == sorted(SERVICES)
    assert system.asked[4:] == ["collection", "notification"]


async def test_who_never_rests_is_named() -> None:
    system = Answering(subsidy=[report(drained=False)])
    with pytest.raises(RestlessError, match=r"^subsidy$"):
        await come_to_rest(system.services, 0.05)
