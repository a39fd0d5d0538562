"""Keeps a chatty library from flooding the log while its server is away (60 lines a second were seen)."""

from __future__ import annotations

import logging

from shared.kernel.clock import Runtime

LINES = 3
PER_SECONDS = 30.0


class RateLimit(logging.Filter):
    """Lets ``LINES`` records of one text through per ``PER_SECONDS``; says how many were held back."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = runtime
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter. Records differ by logger and unformatted text."""
        now = self._runtime.monotonic()
        what = (record.name, str(record.msg))
        since, count = self._seen.get(what, (now, 0))
        if now - since >= PER_SECONDS:
            held_back = count - LINES
            since, count = now, 0
            if held_back > 0:
                record.msg = f"{record.getMessage()} ({held_back} like this were held back)"
                record.args = ()
        self._seen[what] = (since, count + 1)
        return count < LINES


def quieten(runtime: Runtime, library: str) -> None:
    """Limit every logger of a library; harmless when it is limited already.

    Filters of a parent do not see its children's records, so each logger gets it.
    """
    limit = RateLimit(runtime)
    for name in sorted(logging.root.manager.loggerDict):
        chatty = logging.getLogger(name)
        if name.partition(".")[0] == library and not any(isinstance(f, RateLimit) for f in chatty.filters):
            chatty.addFilter(limit)
