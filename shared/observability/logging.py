"""Structured logs (日志): one JSON object a line, correlated, masked, and rate-limited.

A line is an event name and fields: ``log.info("page_applied", projection="…", events=12)``. Exceptions are
logged as type and place; their text may quote data.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import msgspec
import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from shared.kernel.clock import Runtime
from shared.observability.masking import mask_text, masked_fields

BURST = 20
PER_SECOND = 5.0

Fields = MutableMapping[str, Any]


def logger(name: str) -> Any:
    """A logger; usable at import time, before ``configure``."""
    return structlog.get_logger(module=name)


@contextmanager
def bound(**context: str) -> Iterator[None]:
    """Fields (correlation, causation) on every line of this task inside the block."""
    tokens = bind_contextvars(**context)
    try:
        yield
    finally:
        reset_contextvars(**tokens)


def current_correlation() -> str:
    """The correlation id bound in this task; empty when there is none."""
    return str(structlog.contextvars.get_contextvars().get("correlation", ""))


class RateLimit:
    """At most ``burst`` lines of one kind at once and ``per_second`` after that.

    A kind is (level, event, module). What was held back is counted on the next line that passes.
    """

    def __init__(self, runtime: Runtime, burst: int = BURST, per_second: float = PER_SECOND) -> None:
        self._runtime = runtime
        self._burst = float(burst)
        self._per_second = per_second
        self._buckets: dict[tuple[str, str, str], tuple[float, float, int]] = {}

    def __call__(self, _: Any, level: str, fields: Fields) -> Fields:
        kind = (level, str(fields.get("event", "")), str(fields.get("module", "")))
        now = self._runtime.monotonic()
        tokens, then, held = self._buckets.get(kind, (self._burst, now, 0))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        if tokens < 1.0:
            self._buckets[kind] = (tokens, now, held + 1)
            raise structlog.DropEvent
        if len(self._buckets) > 2048:
            self._buckets.clear()
        self._buckets[kind] = (tokens - 1.0, now, 0)
        if held:
            fields["suppressed"] = held
        return fields


def _without_exceptions(_: Any, __: str, fields: Fields) -> Fields:
    fault = fields.pop("exc_info", None)
    if fault is True:
        fault = sys.exc_info()[1]
    if isinstance(fault, tuple):
        fault = fault[1]
    if isinstance(fault, BaseException):
        fields["error"] = type(fault).__name__
        fields["at"] = place_of(fault)
    return fields


def place_of(fault: BaseException) -> str:
    """``module:line`` an exception was raised at."""
    trace, place = fault.__traceback__, ""
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _mask(_: Any, __: str, fields: Fields) -> Fields:
    return masked_fields(fields)


def _json(_: Any, __: str, fields: Fields) -> str:
    return msgspec.json.encode(fields, order="deterministic").decode()


def _timestamp(runtime: Runtime) -> Callable[[Any, str, Fields], Fields]:
    def add(_: Any, __: str, fields: Fields) -> Fields:
        fields["ts"] = round(runtime.timestamp(), 3)
        return fields

    return add


class _LibraryHandler(logging.Handler):
    """Lines of libraries (uvicorn, aiokafka, SQLAlchemy) in the same shape and under the same limits."""

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[1] if record.exc_info else None
        line = structlog.get_logger(module=record.name)
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        write = getattr(line, level, line.info)
        write(f"library:{record.name}", text=mask_text(record.getMessage()), exc_info=fault)


def configure(service: str, runtime: Runtime, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logging of a process: our lines and libraries' lines as JSON on ``stream`` (stderr)."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)

    def name_service(_: Any, __: str, fields: Fields) -> Fields:
        fields["service"] = service
        return fields

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            RateLimit(runtime),
            structlog.processors.add_log_level,
            name_service,
            _timestamp(runtime),
            _without_exceptions,
            _mask,
            _json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [old for old in root.handlers if isinstance(old, _LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
    root.setLevel(max(number, logging.INFO))
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for rewired in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(rewired).handlers.clear()
        # Without a way to a handler uvicorn does not even make up its lines about requests.
        logging.getLogger(rewired).propagate = rewired != "uvicorn.access"
