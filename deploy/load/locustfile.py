"""Locust for teams that use it (压测): ``locust -f deploy/load/locustfile.py --host http://127.0.0.1:8102``.

Users pay for people of the target's own roster; now and then one asks what somebody owes, or sends an order again. A
closed loop with a web page: for latencies from the due time and for the audit of every fen use ``liangxian
rehearse``. Settings: LIANGXIAN_CAMPAIGN, LIANGXIAN_CLIENT, LIANGXIAN_CLIENT_SECRET, LIANGXIAN_CHANNEL.
"""

from __future__ import annotations

import itertools
import os
import queue
import secrets
from typing import Any
from urllib.parse import urlsplit

from locust import HttpUser, between, events, task
from locust.exception import StopUser

CAMPAIGN = os.environ.get("LIANGXIAN_CAMPAIGN", "370406001-2025")
CLIENT = os.environ.get("LIANGXIAN_CLIENT", "channel-wechat")
SECRET = os.environ.get("LIANGXIAN_CLIENT_SECRET", f"development-{CLIENT}")
CHANNEL = os.environ.get("LIANGXIAN_CHANNEL", "WECHAT")
PAGE = 1000
AT_HOME = ("127.0.0.1", "localhost", "::1")
ALLOWED = "LIANGXIAN_I_MAY_LOAD_THIS_TARGET"

_payers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
_numbers = itertools.count(1)
_run = f"L{secrets.token_hex(4)}"


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def only_where_allowed(environment: Any, **_: Any) -> None:
    """Another machine is loaded only when somebody says so."""
    host = urlsplit(environment.host or "").hostname
    if host not in AT_HOME and not os.environ.get(ALLOWED):
        raise SystemExit(f"{host}: {ALLOWED}=1 says that you may")


class Payer(HttpUser):
    """A channel's server: its users share one list of people who have not paid."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """A token of the channel; the first user reads the roster."""
        granted = self.client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(CLIENT, SECRET),
            name="POST /oauth/token",
        )
        granted.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"
        self._today = self.client.get("/readyz", name="GET /readyz").json()["today"]
        self._last: tuple[dict[str, Any], str] | None = None
        if next(_numbers) == 1:
            self._read_payers()

    def _read_payers(self) -> None:
        after: str | None = ""
        while after is not None:
            query = {"campaign": CAMPAIGN, "insurance": "medical", "after": after, "limit": str(PAGE)}
            page = self.client.get("/obligations", params=query, name="GET /obligations").json()
            for row in page["items"]:
                if row["personal_fen"] > 0 and not row["refused"] and not row["paid_standing"]:
                    _payers.put(row)
            after = page["next"]

    @task(16)
    def pay(self) -> None:
        """One person's medical contribution."""
        try:
            row = _payers.get(timeout=1)
        except queue.Empty:
            raise StopUser from None
        line = {name: row[name] for name in ("person_id", "year", "insurance")}
        order_no = f"{_run}-{next(_numbers)}"
        order = {
            "order_no": order_no,
            "channel": CHANNEL,
            "paid_at": f"{self._today}T20:15:00+08:00",
            "captured": False,
            "lines": [line | {"amount_fen": row["personal_fen"]}],
        }
        self._send(order, order_no)
        self._last = (order, order_no)

    @task(1)
    def send_again(self) -> None:
        """The same request once more: the same answer, nothing paid twice."""
        if self._last is not None:
            self._send(*self._last)

    @task(3)
    def ask(self) -> None:
        """What somebody owes."""
        try:
            row = _payers.get(timeout=1)
        except queue.Empty:
            raise StopUser from None
        _payers.put(row)
        query = {"campaign": CAMPAIGN, "person_id": row["person_id"]}
        self.client.get("/obligations", params=query, name="GET /obligations?person_id=")

    def _send(self, order: dict[str, Any], key: str) -> None:
        self.client.post("/payments", json=order, headers={"Idempotency-Key": key}, name="POST /payments")
