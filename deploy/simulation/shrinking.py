"""The shortest trace of a failing seed: decisions are left out as long as it fails in the same way (ddmin)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy.simulation.plan import Plan
from deploy.simulation.running import History

Decision = tuple[str, object]
Run = Callable[[Plan], History]

MOST_RUNS = 120


def shortest(plan: Plan, failure: str, run: Run, most_runs: int = MOST_RUNS) -> Plan:
    """The plan with as few of its decisions as still break the same rule; as far as ``most_runs`` go."""
    left = [most_runs]

    def fails(decisions: Sequence[Decision]) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        return run(plan.keeping(decisions)).failure == failure

    return plan.keeping(_minimal(plan.decisions(), fails))


def _minimal(decisions: list[Decision], fails: Callable[[Sequence[Decision]], bool]) -> list[Decision]:
    """Delta debugging: complements of ever smaller parts, until no single decision can be left out."""
    parts = 2
    while len(decisions) >= 1:
        size = max(1, len(decisions) // parts)
        for start in range(0, len(decisions), size):
            rest = decisions[:start] + decisions[start + size :]
            if fails(rest):
                decisions, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(decisions), parts * 2)
    return decisions
