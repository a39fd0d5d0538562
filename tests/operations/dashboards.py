"""Running the queries of the dashboards on a Prometheus, as Grafana would."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import stamina

from deploy.grafana.panels import DASHBOARDS, Query

VARIABLES = ("$campaign", "$service")
STEP_SECONDS = 1


class UnseenError(Exception):
    """A target was not scraped again yet."""


def queries() -> Iterator[tuple[str, str, Query]]:
    """(dashboard, panel, query) of all dashboards."""
    for board in DASHBOARDS:
        for panel in board.panels:
            for query in panel.queries:
                yield board.uid, panel.title, query


def expression(query: Query) -> str:
    """As Grafana asks it with all values chosen."""
    text = query.expr
    for name in VARIABLES:
        text = text.replace(name, ".*")
    return text


def seen(prometheus: str, moment: float, seconds: float) -> None:
    """Wait until every target was scraped at ``moment`` (Unix seconds) or later; a rate shows from the second scrape
    on, and a small campaign on a quick machine is over before that."""
    query = {"query": "min(timestamp(up))"}
    for attempt in stamina.retry_context(
        on=(UnseenError, httpx.HTTPError), attempts=None, timeout=seconds, wait_max=0.5
    ):
        with attempt:
            answer = httpx.get(f"{prometheus}/api/v1/query", params=query, timeout=10, trust_env=False)
            result = answer.raise_for_status().json()["data"]["result"]
            if not result or float(result[0]["value"][1]) < moment:
                raise UnseenError


def samples(http: httpx.Client, prometheus: str, query: Query, start: float, end: float) -> int:
    """How many samples a query has in a span of time; raises for a query Prometheus refuses."""
    span = {"query": expression(query), "start": start, "end": end, "step": STEP_SECONDS}
    answer = http.get(f"{prometheus}/api/v1/query_range", params=span)
    body = answer.json()
    assert body["status"] == "success", (query.expr, body)
    return sum(len(series["values"]) for series in body["data"]["result"])


def wanting(prometheus: str, start: float, end: float) -> list[str]:
    """Panels that should show something and do not."""
    with httpx.Client(timeout=30, trust_env=False) as http:
        return [
            f"{board}: {title}: {query.expr}"
            for board, title, query in queries()
            if not samples(http, prometheus, query, start, end) and not query.may_be_empty
        ]
