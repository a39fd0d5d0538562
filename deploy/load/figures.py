"""What a run was like, in numbers: rates, latencies from the due time, what was late, dropped, refused or shed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from deploy.load.orders import REPEATS, Sent
from deploy.load.running import Outcome

PERCENTILES = (50, 95, 99)
MILLISECONDS = 1000


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of a sorted sequence lies (nearest rank); 0 for an empty one."""
    if not ordered:
        return 0.0
    rank = max(int(len(ordered) * percent / 100 + 0.999999), 1)
    return ordered[min(rank, len(ordered)) - 1]


def milliseconds(latencies: Iterable[float]) -> dict[str, float]:
    """p50, p95, p99 and the most, in ms."""
    ordered = sorted(latencies)
    found = {f"p{each}": round(percentile(ordered, each) * MILLISECONDS, 2) for each in PERCENTILES}
    return found | {"max": round(ordered[-1] * MILLISECONDS, 2) if ordered else 0.0}


def _latency(sent: Sent) -> float:
    return sent.done - sent.due


def summary(outcome: Outcome, rate: float) -> dict[str, Any]:
    """The run as a document. Latency is that of what was accepted at once; turned-away work stands beside it."""
    sent = outcome.sent
    answered = [each for each in sent if each.answer.status]
    accepted = [each for each in answered if each.answer.status < 300]
    refused = [each for each in answered if 400 <= each.answer.status < 500]
    repeats = [each for each in sent if each.kind in REPEATS]
    seconds = max(outcome.seconds, 0.001)
    return {
        "offered": len(sent) + len(outcome.dropped),
        "offered_rate": round((len(sent) + len(outcome.dropped)) / seconds, 1),
        "wanted_rate": rate,
        "accepted": len(accepted),
        "accepted_rate": round(len(accepted) / seconds, 1),
        "refused": len(refused),
        "shed": sum(1 for each in sent if each.shed),
        "server_errors": sum(1 for each in answered if each.answer.status >= 500 and not each.shed),
        "unanswered": len(sent) - len(answered),
        "late": outcome.late,
        "dropped": len(outcome.dropped),
        "repeats": len(repeats),
        "replayed": sum(1 for each in repeats if each.answer.replayed or each.answer.status == 200),
        "persons_paid": sum(
            len({line.person_id for line in each.lines}) for each in accepted if each.kind not in REPEATS
        ),
        "kinds": dict(Counter(str(each.kind) for each in sent)),
        "channels": dict(Counter(each.channel for each in sent)),
        "villages": len({each.village for each in sent}),
        "refusal_codes": dict(Counter(each.answer.code or str(each.answer.status) for each in refused)),
        "latency_ms": milliseconds(map(_latency, accepted)),
        "shed_latency_ms": milliseconds(_latency(each) for each in sent if each.shed),
        "seconds": round(seconds, 2),
    }


def curve(outcome: Outcome, points: int = 120) -> list[dict[str, float]]:
    """Per slice of the run, by due time: offered and accepted per second, p50 and p99 of the accepted in ms."""
    seconds = max(outcome.seconds, 0.001)
    step = max(seconds / points, 1.0)
    slices: list[list[Sent]] = [[] for _ in range(int(seconds / step) + 1)]
    for each in outcome.sent:
        slices[min(int(each.due / step), len(slices) - 1)].append(each)
    found = []
    for number, some in enumerate(slices):
        if not some and number == len(slices) - 1:
            continue
        long = sorted(_latency(each) for each in some if 0 < each.answer.status < 300)
        found.append(
            {
                "second": round(number * step, 1),
                "offered": round(len(some) / step, 1),
                "accepted": round(len(long) / step, 1),
                "p50_ms": round(percentile(long, 50) * MILLISECONDS, 2),
                "p99_ms": round(percentile(long, 99) * MILLISECONDS, 2),
            }
        )
    return found
