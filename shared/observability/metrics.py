"""The metrics of a service (监控指标), on a registry of its own, label ``service`` on all.

``ServiceMetrics`` implements the small metric ports of the writer, the runners, the relay and the consumers,
and of the HTTP edge, so that none of them knows Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from shared.kernel.errors import NOT_READY, OVERLOADED

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHORT_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

M = TypeVar("M", bound=MetricWrapperBase)


class ServiceMetrics:
    """All metrics of docs/interfaces.md; money gauges are set by the service that reckons them."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.registry = CollectorRegistry(auto_describe=True)
        self._children: dict[tuple[Any, ...], Any] = {}
        self._requests = self._make(
            Histogram,
            "http_request_duration_seconds",
            "HTTP requests",
            ("route", "method", "status"),
            buckets=_SECONDS,
        )
        self._commands = self._make(Counter, "commands_total", "Commands by outcome", ("command", "outcome"))
        self._refusals = self._make(Counter, "refusals_total", "Refused commands by code", ("code",))
        for code in (NOT_READY, OVERLOADED):  # a rate needs the 0 before the first
            self._child(self._refusals, code)
        self._batch_size = self._make(Histogram, "append_batch_size", "Events per commit", buckets=_SIZES)
        self._append = self._make(Histogram, "append_seconds", "Seconds a batch took", buckets=_SHORT_SECONDS)
        self._lock_wait = self._make(
            Histogram,
            "append_lock_wait_seconds",
            "Seconds waiting for the append lock",
            buckets=_SHORT_SECONDS,
        )
        self._queue = self._make(Gauge, "command_queue_depth", "Commands waiting for the writer")
        self._queue_capacity = self._make(
            Gauge, "command_queue_capacity", "Commands that may wait before new ones are refused"
        )
        self._leads = self._make(
            Gauge, "leads_readers", "1 where the service's readers run, 0 where it stands by"
        )
        self._faults = self._make(Gauge, "faults", "Reasons why the process is not ready")
        self._log_position = self._make(Gauge, "log_position", "Last position of the log")
        self._relay_position = self._make(Gauge, "relay_position", "Last position published")
        self._relay_lag = self._make(Gauge, "relay_lag_seconds", "Age of the oldest unpublished event")
        self._consumer_lag = self._make(
            Gauge, "consumer_lag_messages", "Messages not yet applied", ("topic", "partition")
        )
        self._consumer_seconds = self._make(
            Gauge, "consumer_lag_seconds", "Age of the oldest message not applied", ("topic",)
        )
        self._consumer_progress = self._make(
            Gauge,
            "consumer_last_progress_timestamp_seconds",
            "When the slowest partition last got on, or had nothing to do",
            ("topic",),
        )
        self._projection_lag = self._make(
            Gauge, "projection_lag_seconds", "Age of the oldest event not projected", ("projection",)
        )
        self._dead_letters = self._make(Gauge, "dead_letters", "Dead letters", ("topic",))
        self._parked = self._make(
            Gauge, "parked_messages", "Messages parked behind a dead letter", ("topic",)
        )
        self._relay_failures = self._make(Gauge, "relay_failures", "Failed publishes since the last success")
        self._work_failures = self._make(
            Gauge, "work_failures", "Failed steps since the last that went well", ("work",)
        )
        self._restarts = self._make(Counter, "consumer_restarts_total", "Subscriptions renewed", ("reason",))
        self._skipped = self._make(
            Counter, "messages_skipped_total", "Messages not applied", ("topic", "reason")
        )
        self._money = self._make(
            Gauge, "money_fen", "Money by stage, fen", ("campaign", "insurance", "stage")
        )
        self._unaccounted = self._make(
            Gauge, "unaccounted_fen", "Difference to the outside books, fen", ("campaign", "insurance")
        )
        self._unaccounted_checked = self._make(
            Gauge, "unaccounted_checked_timestamp_seconds", "When unaccounted_fen was last reckoned"
        )

        self._overdue_remittances = self._make(
            Gauge,
            "overdue_remittances",
            "Days of agents whose cash was not remitted in time and is not settled yet",
            ("campaign", "insurance"),
        )
        self._overdue_death_reports = self._make(
            Gauge, "overdue_death_reports", "Months for which a source owes its deaths", ("source",)
        )

    def _make(self, kind: type[M], name: str, text: str, labels: tuple[str, ...] = (), **options: Any) -> M:
        return kind(f"liangxian_{name}", text, ("service", *labels), registry=self.registry, **options)

    def _child(self, metric: MetricWrapperBase, *labels: str) -> Any:
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(self.service, *labels)
        return child

    def render(self) -> bytes:
        """The text of ``/metrics``."""
        return generate_latest(self.registry)

    # HTTP --------------------

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A finished request."""
        self._child(self._requests, route, method, str(status)).observe(seconds)

    # Writer (shared.eventstore.metrics.WriterMetrics) --------------------

    def append_batch(self, size: int, seconds: float, lock_wait_seconds: float) -> None:
        """A committed transaction of the writer."""
        self._child(self._batch_size).observe(size)
        self._child(self._append).observe(seconds)
        self._child(self._lock_wait).observe(lock_wait_seconds)

    def queue_depth(self, commands: int) -> None:
        """Commands waiting for the writer."""
        self._child(self._queue).set(commands)

    def queue_capacity(self, commands: int) -> None:
        """Commands that may wait before new ones are answered OVERLOADED."""
        self._child(self._queue_capacity).set(commands)

    def faults(self, count: int) -> None:
        """Reasons why the process is not ready; ``/readyz`` names them."""
        self._child(self._faults).set(count)

    def leads_readers(self, leads: bool) -> None:
        """Whether this process runs the service's read models and reactions, or stands by."""
        self._child(self._leads).set(int(leads))

    def command(self, operation: str, outcome: str) -> None:
        """A command was answered: accepted, replayed, refused or failed."""
        self._child(self._commands, operation, outcome).inc()

    def refusal(self, code: str) -> None:
        """A command was refused."""
        self._child(self._refusals, code).inc()

    # Log, projections, messaging --------------------

    def log_position(self, position: int) -> None:
        """Head of the log."""
        self._child(self._log_position).set(position)

    def projection_lag_seconds(self, projection: str, seconds: float) -> None:
        """How far behind a projection is."""
        self._child(self._projection_lag, projection).set(seconds)

    def relay_position(self, position: int) -> None:
        """Last position published."""
        self._child(self._relay_position).set(position)

    def relay_lag_seconds(self, seconds: float) -> None:
        """Age of the oldest event not published."""
        self._child(self._relay_lag).set(seconds)

    def relay_failures(self, count: int) -> None:
        """Publishes that failed since the last success."""
        self._child(self._relay_failures).set(count)

    def work_failures(self, work: str, count: int) -> None:
        """Steps of a reaction, or of the imports, that failed since the last that went well."""
        self._child(self._work_failures, work).set(count)

    def consumer_lag_messages(self, topic: str, partition: int, messages: int) -> None:
        """Messages between a partition's end and our offset."""
        self._child(self._consumer_lag, topic, str(partition)).set(messages)

    def consumer_lag_seconds(self, topic: str, seconds: float) -> None:
        """Age of the oldest message not applied."""
        self._child(self._consumer_seconds, topic).set(seconds)

    def last_progress_timestamp(self, topic: str, timestamp: float | None) -> None:
        """Unix seconds at which the topic's slowest partition last got on, or had nothing to do. None: no
        partition of it is read here, and nothing is said of it."""
        if timestamp is not None:
            self._child(self._consumer_progress, topic).set(timestamp)
        elif self._children.pop((self._consumer_progress, topic), None) is not None:
            self._consumer_progress.remove(self.service, topic)

    def consumer_restarted(self, reason: str) -> None:
        """The consumer made no progress and subscribed anew."""
        self._child(self._restarts, reason).inc()

    def messages_skipped(self, topic: str, reason: str, count: int) -> None:
        """Messages not applied for a reason: duplicate, stale_epoch, not_taken, gap."""
        self._child(self._skipped, topic, reason).inc(count)

    def dead_letters(self, topic: str, count: int) -> None:
        """Dead letters of a topic (or reaction) that wait for somebody."""
        self._child(self._dead_letters, topic).set(count)

    def parked(self, topic: str, count: int) -> None:
        """Messages parked behind a dead letter of their key."""
        self._child(self._parked, topic).set(count)

    def letters(self, dead: Mapping[str, int], parked: Mapping[str, int]) -> None:
        """All dead and parked of the service by topic or reaction; names no longer there go to 0."""
        for metric, counts in ((self._dead_letters, dead), (self._parked, parked)):
            known = {key[1] for key in self._children if key[0] is metric}
            for name in known | counts.keys():
                self._child(metric, name).set(counts.get(name, 0))

    # Money --------------------

    def money_fen(self, campaign: str, insurance: str, stages: Mapping[str, int]) -> None:
        """Fen in each stage (received, settled, in_treasury, …) of a campaign; a stage left empty goes to 0."""
        where = (self._money, campaign, insurance)
        emptied = {key[3]: 0 for key in self._children if key[:3] == where}
        for stage, fen in {**emptied, **stages}.items():
            self._child(self._money, campaign, insurance, stage).set(fen)

    def unaccounted_fen(self, campaign: str, insurance: str, fen: int) -> None:
        """Σ |outside books − our streams|, fen."""
        self._child(self._unaccounted, campaign, insurance).set(fen)

    def unaccounted_checked(self, timestamp: float) -> None:
        """Unix seconds of the last reckoning: a stale 0 must show."""
        self._child(self._unaccounted_checked).set(timestamp)

    def overdue_remittances(self, campaign: str, insurance: str, days: int) -> None:
        """滞留: days of agents whose cash was not deposited on the day and is not settled yet (I-22)."""
        self._child(self._overdue_remittances, campaign, insurance).set(days)

    def overdue_death_reports(self, source: str, months: int) -> None:
        """Months for which a source has not reported its deaths, due on the 5th of the next (001:L154)."""
        self._child(self._overdue_death_reports, source).set(months)
