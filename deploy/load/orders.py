"""Orders as channels send them (订单): drawn from a seed, written as the bytes of a request.

By day agents' terminals, in the evening telephones; some callbacks are late (the money is final before we
are told), some orders come twice: the same request again, or the same order under another key.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from deploy.load.connections import NO_ANSWER, Answer
from deploy.load.payers import Due, Household, Payers
from deploy.rehearsal.script import Script, client_of
from shared.kernel.clock import SHANGHAI
from shared.policy import Pack

DUPLICATES = 0.05
LATE_CALLBACKS = 0.03
OPENS, EVENING, CLOSES = 8.0, 17.5, 23.5
"""Hours of the business day a run stands for; agents' terminals are closed in the evening."""
RECENT = 2000
LATEST_CALLBACK_MINUTES = 40
_encode = msgspec.json.Encoder().encode


class Kind(StrEnum):
    """What an arrival is."""

    ORDER = "order"
    LATE = "late_callback"
    SAME_KEY = "same_key"
    SAME_ORDER = "same_order"


REPEATS = frozenset({Kind.SAME_KEY, Kind.SAME_ORDER})


@dataclass(slots=True, eq=False)
class Sent:
    """An arrival and what became of it. due, done: seconds of the run; ``of``: the order a repetition repeats.

    answer: the first, which latency is counted to; settled: what a later repetition of an unanswered one said.
    """

    kind: Kind
    order_no: str
    channel: str
    village: str
    lines: Sequence[Due]
    request: bytes
    due: float
    paid_at: str
    started: float = 0.0
    done: float = 0.0
    answer: Answer = NO_ANSWER
    settled: Answer | None = None
    of: Sent | None = None

    @property
    def fen(self) -> int:
        """Money of the order."""
        return sum(line.fen for line in self.lines)

    @property
    def known(self) -> Answer:
        """The last that is known of it."""
        return self.settled or self.answer

    @property
    def accepted(self) -> bool:
        """Answered 200 or 201, at once or when asked again."""
        return 200 <= self.known.status < 300

    @property
    def shed(self) -> bool:
        """Turned away by a full queue: 503 and Retry-After."""
        return self.answer.status == 503 and self.answer.code == "OVERLOADED"


@dataclass(frozen=True, slots=True)
class Mix:
    """Channels with their weights by day and in the evening, and those at an agent's hand."""

    day: Mapping[str, int]
    evening: Mapping[str, int]
    at_hand: frozenset[str]

    def channel(self, hour: float, source: random.Random) -> str:
        """Who takes this order."""
        weights = self.evening if hour >= EVENING else self.day
        return source.choices(list(weights), list(weights.values()))[0]


def mix_of(script: Script, agents: str) -> Mix:
    """The pack's channels. Telephones: four in five of an evening; agents only where ``agents`` names them."""
    at_hand = script.at_hand if agents else frozenset()
    weights = {each.code: each.weight for each in script.channels if agents or not each.by_agent}
    mobile = {code: weight * 4 for code, weight in weights.items() if code not in at_hand}
    return Mix(weights, mobile, frozenset(at_hand))


class Orders:
    """The stream of arrivals. Raises nothing; ``next`` is None when everybody has paid."""

    def __init__(
        self,
        payers: Payers,
        mix: Mix,
        pack: Pack,
        day: dt.date,
        tokens: Callable[[str], str],
        *,
        run: str,
        seed: int,
        host: str,
        seconds: float,
        agents: str,
    ) -> None:
        self._payers, self._mix, self._pack, self._day = payers, mix, pack, day
        self._tokens, self._run, self._host, self._seconds, self._agents = tokens, run, host, seconds, agents
        self._random = random.Random(f"orders:{seed}")
        self._recent: deque[Sent] = deque(maxlen=RECENT)
        self._number = 0
        self._forms: dict[str, int] = {}
        self.exhausted = 0

    def next(self, due: float) -> Sent | None:
        """The arrival at a moment of the run."""
        if self._recent and self._random.random() < DUPLICATES:
            return self._repeat(due)
        household = self._payers.next()
        if household is None:
            self.exhausted += 1
            return None
        made = self._order(household, due)
        self._recent.append(made)
        return made

    def _order(self, household: Household, due: float) -> Sent:
        hour = OPENS + (CLOSES - OPENS) * min(due / self._seconds, 0.9999)
        channel = self._mix.channel(hour, self._random)
        online = channel not in self._mix.at_hand
        late = online and self._random.random() < LATE_CALLBACKS
        minutes = self._random.randint(1, LATEST_CALLBACK_MINUTES) if late else 0
        moment = dt.datetime.combine(self._day, dt.time(0), SHANGHAI) + dt.timedelta(
            seconds=int(hour * 3600) - 60 * minutes
        )
        return self.order(Kind.LATE if late else Kind.ORDER, household, channel, moment, due)

    def final(self, moment: dt.datetime) -> Sent | None:
        """Money a channel took at a moment and tells of now; None when everybody has paid."""
        household = self._payers.next()
        if household is None:
            return None
        online = {code: weight for code, weight in self._mix.day.items() if code not in self._mix.at_hand}
        channel = self._random.choices(list(online), list(online.values()))[0]
        return self.order(Kind.LATE, household, channel, moment, 0.0)

    def order(self, kind: Kind, household: Household, channel: str, moment: dt.datetime, due: float) -> Sent:
        """An order of a household; late callbacks are final money."""
        self._number += 1
        order_no = f"{self._run}-{self._number:07d}"
        paid_at = moment.isoformat()
        body: dict[str, object] = {
            "order_no": order_no,
            "channel": channel,
            "paid_at": paid_at,
            "captured": kind is Kind.LATE,
            "lines": [
                {"person_id": d.person_id, "year": d.year, "insurance": d.insurance, "amount_fen": d.fen}
                for d in household.lines
            ],
        }
        if channel in self._mix.at_hand:
            agent = self._agents.format(village=household.village)
            body["agent"] = agent
            if self._pack.receipt_required(channel):
                body["receipt"] = self._form(agent)
        request = self._request(channel, order_no, _encode(body))
        return Sent(kind, order_no, channel, household.village, household.lines, request, due, paid_at)

    def _form(self, agent: str) -> dict[str, str]:
        used = self._forms[agent] = self._forms.get(agent, 0) + 1
        return {"book_no": f"{self._run}-{agent}", "serial_no": f"{used:06d}"}

    def _repeat(self, due: float) -> Sent:
        first = self._recent[self._random.randrange(len(self._recent))]
        same_key = self._random.random() < 0.5
        request = first.request
        if not same_key:
            _, _, body = request.partition(b"\r\n\r\n")
            self._number += 1
            request = self._request(first.channel, f"{first.order_no}-again-{self._number}", body)
        return Sent(
            Kind.SAME_KEY if same_key else Kind.SAME_ORDER, first.order_no, first.channel, first.village,
            first.lines, request, due, first.paid_at, of=first,
        )  # fmt: skip

    def _request(self, channel: str, key: str, body: bytes) -> bytes:
        head = (
            f"POST /payments HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer"
            f" {self._tokens(client_of(channel))}\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
