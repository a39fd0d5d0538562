"""``GET /books?part=``: what an auditor reads of a district's books, page by page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from deploy.audit.running import joined, read_books
from deploy.rehearsal.books import PARTS
from deploy.rehearsal.world import create_world
from tests.unit.rehearsal.test_world import AT, CAMPAIGN, Service, line, world_on


async def asked(http: httpx.AsyncClient, **query: Any) -> httpx.Response:
    return await http.get("/books", params={"campaign": CAMPAIGN, **query})


async def test_pages_together_are_the_statement() -> None:
    world = world_on(Service())
    for number in range(7):
        await world.pay("WECHAT", f"o{number}", CAMPAIGN, f"2019-10-2{number}{AT[10:]}", [line()])
    app = create_world(world)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://world") as http:
        whole = (await asked(http)).json()
        for part in PARTS:
            found: list[Any] = []
            after: int | None = 0
            while after is not None:
                page = (await asked(http, part=part, after=after, limit=3)).json()
                found += page["items"]
                after = page["next"]
            assert found == whole[part]
        assert len(whole["rows"]) == 7
        books = joined([page async for page in read_books(http, "http://world", [CAMPAIGN])])
        assert [row.fen for row in books.rows] == [26_000] * 7


async def test_a_first_page_is_written_down_anew() -> None:
    """What came since the last audit is in the next one."""
    world = world_on(Service())
    assert world.books.page(CAMPAIGN, "rows", 0, 5) == {"items": [], "next": None}
    await world.pay("WECHAT", "o1", CAMPAIGN, AT, [line()])
    assert len(world.books.page(CAMPAIGN, "rows", 0, 5)["items"]) == 1


@pytest.mark.parametrize("part", ["orders", "rows; DROP TABLE orders"])
async def test_other_parts_have_no_pages(part: str) -> None:
    app = create_world(world_on(Service()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://world") as http:
        assert (await asked(http, part=part)).status_code == 422
