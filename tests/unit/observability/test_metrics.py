"""The metrics of docs/interfaces.md, label ``service`` on all; the small ports are implemented."""

from __future__ import annotations

import re

import pytest

from shared.eventstore.metrics import WriterMetrics
from shared.messaging.metrics import MessagingMetrics
from shared.observability.metrics import ServiceMetrics
from shared.web.context import RequestMetrics


def fed() -> str:
    metrics = ServiceMetrics("collection")
    writer: WriterMetrics = metrics
    messaging: MessagingMetrics = metrics
    requests: RequestMetrics = metrics
    requests.observe_request("/payments", "POST", 201, 0.01)
    writer.append_batch(3, 0.002, 0.001)
    writer.queue_depth(4)
    writer.command("record_payment", "accepted")
    writer.refusal("ALREADY_PAID")
    metrics.projection_lag_seconds("taxpayers", 0.5)
    messaging.relay_position(9)
    messaging.relay_lag_seconds(0.1)
    messaging.relay_failures(0)
    metrics.work_failures("imports", 3)
    messaging.consumer_lag_messages("t", 1, 5)
    messaging.consumer_lag_seconds("t", 0.2)
    messaging.last_progress_timestamp("t", 1.6e9)
    messaging.consumer_restarted("no progress")
    messaging.messages_skipped("t", "duplicate", 2)
    messaging.dead_letters("t", 1)
    messaging.parked("t", 2)
    metrics.log_position(11)
    metrics.queue_capacity(1024)
    metrics.faults(1)
    metrics.overdue_remittances("370406-2020", "medical", 2)
    metrics.overdue_death_reports("POLICE", 1)
    metrics.money_fen("370406-2020", "medical", {"due": 100, "paid": 50})
    metrics.unaccounted_fen("370406-2020", "medical", 0)
    metrics.unaccounted_checked(1.6e9)
    return metrics.render().decode()


@pytest.mark.parametrize(
    "sample",
    [
        'http_request_duration_seconds_count{method="POST",route="/payments",service="collection",status="201"} 1.0',
        'commands_total{command="record_payment",outcome="accepted",service="collection"} 1.0',
        'refusals_total{code="ALREADY_PAID",service="collection"} 1.0',
        'append_batch_size_sum{service="collection"} 3.0',
        'append_seconds_count{service="collection"} 1.0',
        'append_lock_wait_seconds_count{service="collection"} 1.0',
        'command_queue_depth{service="collection"} 4.0',
        'command_queue_capacity{service="collection"} 1024.0',
        'faults{service="collection"} 1.0',
        'overdue_remittances{campaign="370406-2020",insurance="medical",service="collection"} 2.0',
        'overdue_death_reports{service="collection",source="POLICE"} 1.0',
        'log_position{service="collection"} 11.0',
        'relay_position{service="collection"} 9.0',
        'relay_lag_seconds{service="collection"} 0.1',
        'consumer_lag_messages{partition="1",service="collection",topic="t"} 5.0',
        'consumer_lag_seconds{service="collection",topic="t"} 0.2',
        'consumer_last_progress_timestamp_seconds{service="collection",topic="t"} 1.6e+09',
        'projection_lag_seconds{projection="taxpayers",service="collection"} 0.5',
        'dead_letters{service="collection",topic="t"} 1.0',
        'parked_messages{service="collection",topic="t"} 2.0',
        'money_fen{campaign="370406-2020",insurance="medical",service="collection",stage="paid"} 50.0',
        'unaccounted_fen{campaign="370406-2020",insurance="medical",service="collection"} 0.0',
        'unaccounted_checked_timestamp_seconds{service="collection"} 1.6e+09',
    ],
)
def test_the_published_metrics_are_there(sample: str) -> None:
    assert f"\nliangxian_{sample}\n" in fed()


def test_every_sample_names_the_service() -> None:
    samples = [line for line in fed().splitlines() if line and not line.startswith("#")]
    assert samples
    assert all(re.search(r'service="collection"', sample) for sample in samples)


def test_a_gauge_nobody_set_is_missing_rather_than_zero() -> None:
    """A stale or missing ``unaccounted_fen`` must show: no sample before the first reckoning."""
    text = ServiceMetrics("collection").render().decode()
    assert "liangxian_unaccounted_fen{" not in text
    assert "liangxian_unaccounted_checked_timestamp_seconds{" not in text


def test_services_in_one_process_do_not_share_a_registry() -> None:
    one, other = ServiceMetrics("collection"), ServiceMetrics("subsidy")
    one.refusal("X")
    assert 'liangxian_refusals_total{code="X"' in one.render().decode()
    assert 'liangxian_refusals_total{code="X"' not in other.render().decode()


def test_the_first_who_is_turned_away_shows() -> None:
    """``rate`` sees a step from 0, not a series that begins at 1."""
    sample = '\nliangxian_refusals_total{code="OVERLOADED",service="collection"} 0.0\n'
    assert sample in ServiceMetrics("collection").render().decode()


def test_a_topic_another_worker_reads_now_is_told_by_that_worker_alone() -> None:
    """A gauge left behind by whom the topic was taken from would look like one that stands still."""
    metrics = ServiceMetrics("collection")
    sample = 'liangxian_consumer_last_progress_timestamp_seconds{service="collection",topic="t"}'
    metrics.last_progress_timestamp("t", 1.6e9)
    assert f"{sample} 1.6e+09" in metrics.render().decode()
    metrics.last_progress_timestamp("t", None)
    metrics.last_progress_timestamp("t", None)
    assert sample not in metrics.render().decode()
    metrics.last_progress_timestamp("t", 1.7e9)
    assert f"{sample} 1.7e+09" in metrics.render().decode()


def test_letters_that_were_resolved_go_back_to_zero() -> None:
    """The database's count is told whole: a name it no longer has is 0, not what it was."""
    metrics = ServiceMetrics("collection")
    metrics.letters({"t": 2}, {"t": 5, "u": 1})
    metrics.letters({}, {"u": 3})
    text = metrics.render().decode()
    assert '\nliangxian_dead_letters{service="collection",topic="t"} 0.0\n' in text
    assert '\nliangxian_parked_messages{service="collection",topic="t"} 0.0\n' in text
    assert '\nliangxian_parked_messages{service="collection",topic="u"} 3.0\n' in text


def test_a_stage_the_money_has_left_goes_back_to_zero() -> None:
    """Vouchers move on together: what is in no stage any more is not shown there for ever."""
    metrics = ServiceMetrics("collection")
    metrics.money_fen("370406-2020", "medical", {"issued": 100})
    metrics.money_fen("370406-2020", "pension", {"issued": 70})
    metrics.money_fen("370406-2020", "medical", {"debited": 100})
    text = metrics.render().decode()
    shown = 'campaign="370406-2020",insurance="{}",service="collection",stage="{}"'
    assert f"liangxian_money_fen{{{shown.format('medical', 'issued')}}} 0.0" in text
    assert f"liangxian_money_fen{{{shown.format('medical', 'debited')}}} 100.0" in text
    assert f"liangxian_money_fen{{{shown.format('pension', 'issued')}}} 70.0" in text
