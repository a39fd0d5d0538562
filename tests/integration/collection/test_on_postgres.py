"""Collection on a real PostgreSQL: linked, assessed, listed, collected; every read model equals its replay (I-30)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from deploy.local.keys import ensure_keys
from services.collection.app import SERVICE
from services.collection.settings import CollectionSettings
from shared.contracts.message import Message
from shared.eventstore.commands import BlindAppend, Page
from shared.eventstore.rebuild import rebuild
from shared.eventstore.streams import Metadata
from shared.kernel.insurance import Insurance
from shared.policy import Pack, dump, load_pack
from shared.testing.service import memory_service
from shared.web.assemble import production_app
from tests.integration.collection.conftest import CAMPAIGN, ROSTER, SCOPES, VILLAGE, registration
from tests.integration.collection.test_happy_path import cash
from tests.integration.collection.test_roster_flow import notice_closed

pytestmark = pytest.mark.postgres

_SCOPES = ", ".join(f'"{scope}"' for scope in SCOPES)
ORGANISATIONS = f"""
clients:
- {{client_id: tax, client_secret: pass, organisation: tax, scopes: [ops, {_SCOPES}], divisions: [""]}}
- {{client_id: town, client_secret: pass, organisation: town, scopes: [{_SCOPES}], divisions: ["370406"]}}
"""


@pytest.fixture
def settings(database_factory: Any, tmp_path: Path) -> CollectionSettings:
    """A fresh database, broker and key file."""
    organisations = tmp_path / "organisations.yaml"
    organisations.write_text(ORGANISATIONS, encoding="utf-8")
    return CollectionSettings(
        database_url=database_factory(),
        broker_url=database_factory(),
        keys=ensure_keys(tmp_path / "keys.json"),
        organisations=organisations,
        rehearsal=True,
    )


class Site:
    """The running service as its callers see it."""

    def __init__(self, app: Any, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client
        self.tokens: dict[str, str] = {}
        self._keys = itertools.count(1)

    async def sign_in(self, client_id: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "pass"}
        self.tokens[client_id] = (await self.client.post("/oauth/token", data=form)).json()["access_token"]

    async def post(self, path: str, body: Any, expect: int = 200, client_id: str = "tax") -> Any:
        headers = {
            "Idempotency-Key": f"key-{next(self._keys)}",
            "Authorization": f"Bearer {self.tokens[client_id]}",
        }
        response = await self.client.post(path, json=body, headers=headers)
        assert response.status_code == expect, f"{path} answered {response.status_code}: {response.text}"
        await self.drained()
        return response.json()

    async def drained(self) -> None:
        await self.eventually("/ops/lag", lambda lag: bool(lag["drained"]))

    async def eventually(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """The JSON of ``path`` once it holds, within 30 seconds."""
        headers = {"Authorization": f"Bearer {self.tokens['tax']}"}
        async with asyncio.timeout(30):
            while True:
                response = await self.client.get(path, headers=headers)
                assert response.status_code in (200, 404, 503), response.text
                if response.status_code == 200 and holds(response.json()):
                    return response.json()
                await asyncio.sleep(0.05)

    async def receive(self, *messages: Message) -> None:
        ports = self.app.state.ports
        blind = []
        for message in messages:
            name, _, data = ports.types.encode(message)
            stream = f"received:{message.topic.name}:{message.key()}"
            blind.append(BlindAppend(stream, name, data, Metadata("outside"), ports.clock.now()))
        await ports.store.execute_page(Page((), None, blind))
        await self.drained()


async def test_a_village_is_listed_and_collected_and_every_read_model_replays(
    settings: CollectionSettings,
) -> None:
    """Scenarios 1 and 12 on the production adapters."""
    app = production_app(SERVICE, settings)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://collection") as client,
    ):
        site = Site(app, client)
        await site.sign_in("tax")
        await site.sign_in("town")
        await site.post("/ops/begin-day", {"date": "2019-10-26"})
        await site.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
        await site.post("/packs/ST-2020:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
        await site.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 201)
        await site.receive(*(registration(f"p{number}", Insurance.MEDICAL) for number in range(1, 4)))
        await site.receive(registration("p3", Insurance.MEDICAL, version=2, status="CANCELLED"))
        household = {
            "virtual_household_id": "VH-1",
            "campaign": CAMPAIGN,
            "unit_id": "U-1",
            "name": "店子镇养老医保管理所",
            "villages": [VILLAGE],
        }
        await site.post("/virtual-households", household, 201)
        scope = {"insurances": ["medical"], "divisions": [VILLAGE[:9]]}
        await site.post("/virtual-households/VH-1:assign-scope", scope)
        agent = {
            "agent_id": "A-1",
            "campaign": CAMPAIGN,
            "village": VILLAGE,
            "virtual_household_id": "VH-1",
            "unit": "U-1",
            "designated_account_ref": "ACC-1",
            "channels": ["CASH_AGENT"],
        }
        await site.post("/agents", agent, 201)
        await site.post("/rosters", {"campaign": CAMPAIGN, "village": VILLAGE}, 201)
        await site.post(f"/rosters/{ROSTER}:review", {"role": "TAX_BRANCH", "actor": "t1"})
        await site.post(f"/rosters/{ROSTER}:review", {"role": "TOWN_AGENCY", "actor": "a1"}, client_id="town")
        await site.post(f"/rosters/{ROSTER}:publish", {})
        await site.receive(notice_closed())
        await site.post(f"/rosters/{ROSTER}:finalise", {})
        await site.post("/ops/begin-day", {"date": "2019-11-02"})
        await site.post("/payments", cash(1, [("p1", "medical", 26000)]), 201)

        found = await site.eventually(
            f"/obligations?campaign={CAMPAIGN}", lambda page: any(item["paid"] for item in page["items"])
        )
        owed = {item["person_id"]: (item["personal_fen"], item["paid"]) for item in found["items"]}
        assert owed == {"p1": (26000, True), "p2": (26000, False), "p3": (0, False)}
        roster = await site.eventually(f"/rosters/{ROSTER}", lambda view: view["final"])
        assert (roster["count"], roster["personal_fen"]) == (2, 52000)
        ports = app.state.ports
        for projection in memory_service(SERVICE).description.projections:
            report = await rebuild(ports.log, ports.database, projection)
            assert report.equal, report


async def test_history_and_a_revision_on_the_production_adapters(
    settings: CollectionSettings, tmp_path: Path
) -> None:
    """D-06, D-12, scenario 14: who lapsed, whose amount a revision changed; every read model replays."""
    folder = tmp_path / "packs"
    folder.mkdir()
    app = production_app(SERVICE, settings.model_copy(update={"packs": folder}))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://collection") as client,
    ):
        site = Site(app, client)
        await site.sign_in("tax")
        await site.post("/ops/begin-day", {"date": "2019-10-26"})
        await site.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
        publish = {"campaign": CAMPAIGN, "approver": "tax-02"}
        await site.post("/packs/ST-2020:publish", publish)
        await site.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 201)
        await site.receive(*(registration(f"p{number}", Insurance.MEDICAL) for number in range(1, 4)))
        lines = [{"person_id": each, "insurance": "medical", "paid_fen": 22_000} for each in ("p1", "gone")]
        history = {"year": 2019, "village": VILLAGE, "source": "金三", "lines": lines}
        await site.post("/history", history, 201)
        lapsed = await site.eventually(
            f"/campaigns/{CAMPAIGN}/lapsed?village={VILLAGE}", lambda page: bool(page["items"])
        )
        assert [(row["person_id"], row["reason"]) for row in lapsed["items"]] == [("gone", "NOT_REGISTERED")]
        (changed,) = (await site.eventually(f"/campaigns/{CAMPAIGN}/changes", bool))["items"]
        assert (changed["continuing"], changed["new"], changed["lapsed"]) == (1, 2, {"NOT_REGISTERED": 1})
        proposed = await site.eventually(f"/campaigns/{CAMPAIGN}/targets:proposed", bool)
        assert proposed["stated_total_persons"] == {"medical": 2, "pension": 0}

        dearer = _dearer()
        folder.joinpath("ST-2020-v2.yaml").write_text(dump(dearer), encoding="utf-8")
        await site.post("/packs", {"pack_id": "ST-2020", "version": 2, "maker": "tax-01"}, 201)
        order = {**publish, "version": 2, "effective_from": "2019-11-01", "source": "鲁人社字〔2019〕1号"}
        await site.post("/packs/ST-2020:revise", order)
        path = f"/campaigns/{CAMPAIGN}/revisions/2/differences"
        found = await site.eventually(path, lambda page: len(page["items"]) == 3)
        assert {row["after_personal_fen"] for row in found["items"]} == {28_000}
        versions = (await site.eventually(f"/campaigns/{CAMPAIGN}/revisions", bool))["items"]
        assert [(row["version"], row["differing"]) for row in versions] == [(1, 0), (2, 3)]
        ports = app.state.ports
        for projection in memory_service(SERVICE).description.projections:
            report = await rebuild(ports.log, ports.database, projection)
            assert report.equal, report


def _dearer() -> Pack:
    document = load_pack("ST-2020").document
    personal = msgspec.structs.replace(document.medical.personal, value=280)
    medical = msgspec.structs.replace(document.medical, personal=personal)
    return Pack(msgspec.structs.replace(document, version=2, medical=medical, task_table=None))
