"""What the dashboards show: rows of panels, each a title, its queries and a unit.

Gauges that API and worker both tell from the same database are taken once (``max by``).
"""

from __future__ import annotations

from dataclasses import dataclass

FEN = "liangxian_money_fen"
YUAN = "currencyCNY"
CAMPAIGN = 'campaign=~"$campaign"'
SERVICE = 'service=~"$service"'
P99 = "histogram_quantile(0.99, sum by ({by}, le) (rate({metric}_bucket{{{where}}}[1m])))"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and how its lines are named. may_be_empty: no data is normal (nothing failed yet)."""

    expr: str
    legend: str
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart (``timeseries``), a number (``stat``) or a table."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A file: uid is its name and address. variables: name -> PromQL of its values."""

    uid: str
    title: str
    variables: dict[str, str]
    panels: tuple[Panel, ...]


def money(stage: str) -> str:
    """Yuan in a stage, by insurance."""
    return f'max by (campaign, insurance) ({FEN}{{{CAMPAIGN},stage="{stage}"}}) / 100'


def p99(metric: str, by: str, where: str) -> str:
    """The 99th percentile of a histogram over a minute, seconds."""
    return P99.format(metric=metric, by=by, where=where)


ACCOUNTED = Panel(
    "未核对金额 / unaccounted",
    (
        Query(
            f"max by (campaign, insurance) (liangxian_unaccounted_fen{{{CAMPAIGN}}}) / 100", "{{insurance}}"
        ),
    ),
    YUAN,
    "stat",
)
PAYMENTS = Panel(
    "每秒缴费 / payments a second",
    (
        Query(
            'sum by (status) (rate(liangxian_http_request_duration_seconds_count{service="collection",'
            'route=~"/payments.*",method="POST"}[1m]))',
            "{{status}}",
        ),
    ),
    "reqps",
)

CAMPAIGN_BOARD = Dashboard(
    "campaign",
    "征缴进度 / Campaign",
    {"campaign": f"label_values({FEN}, campaign)"},
    (
        Panel("已收 / received", (Query(money("received"), "{{insurance}}"),), YUAN),
        Panel("已入账 / booked", (Query(money("booked"), "{{insurance}}"),), YUAN),
        ACCOUNTED,
        PAYMENTS,
        Panel(
            "拒绝 / refusals a second",
            (Query("sum by (code) (rate(liangxian_refusals_total[1m]))", "{{code}}"),),
            "reqps",
        ),
        Panel(
            "滞留与缺报 / overdue remittances and death files",
            (
                Query(
                    f"max by (insurance) (liangxian_overdue_remittances{{{CAMPAIGN}}})",
                    "滞留 {{insurance}}",
                    may_be_empty=True,
                ),
                Query("max by (source) (liangxian_overdue_death_reports)", "{{source}}"),
            ),
        ),
    ),
)

MONEY_BOARD = Dashboard(
    "money",
    "资金流 / Money pipeline",
    {"campaign": f"label_values({FEN}, campaign)"},
    (
        Panel(
            "各环节金额 / money by stage",
            (
                Query(
                    f"sum by (stage) (max by (campaign, insurance, stage) ({FEN}{{{CAMPAIGN}}})) / 100",
                    "{{stage}}",
                ),
            ),
            YUAN,
        ),
        Panel(
            "各环节明细 / by stage and insurance",
            (
                Query(
                    f"max by (campaign, insurance, stage) ({FEN}{{{CAMPAIGN}}}) / 100",
                    "{{insurance}} {{stage}}",
                ),
            ),
            YUAN,
            "table",
        ),
        ACCOUNTED,
        Panel(
            "核对时间 / seconds since reckoned",
            (Query("time() - max(liangxian_unaccounted_checked_timestamp_seconds)", "age"),),
            "s",
            "stat",
        ),
        Panel(
            "资金命令 / commands a second",
            (
                Query(
                    'sum by (command) (rate(liangxian_commands_total{service="collection",outcome="accepted"}[1m]))',
                    "{{command}}",
                ),
            ),
            "reqps",
        ),
    ),
)

SERVICES_BOARD = Dashboard(
    "services",
    "服务 / Services",
    {"service": "label_values(liangxian_log_position, service)"},
    (
        Panel("可达 / up", (Query('up{job="liangxian"}', "{{instance}}"),), kind="stat"),
        Panel(
            "故障 / faults",
            (Query(f"max by (service, instance) (liangxian_faults{{{SERVICE}}})", "{{instance}}"),),
        ),
        PAYMENTS,
        Panel(
            "请求 / requests a second",
            (
                Query(
                    f"sum by (service, status) (rate(liangxian_http_request_duration_seconds_count{{{SERVICE}}}[1m]))",
                    "{{service}} {{status}}",
                ),
            ),
            "reqps",
        ),
        Panel(
            "请求 p99 / request p99",
            (Query(p99("liangxian_http_request_duration_seconds", "service", SERVICE), "{{service}}"),),
            "s",
        ),
        Panel(
            "拒绝 / refusals a second",
            (
                Query(
                    f"sum by (service, code) (rate(liangxian_refusals_total{{{SERVICE}}}[1m]))",
                    "{{service}} {{code}}",
                ),
            ),
            "reqps",
        ),
        Panel(
            "追加 p99 / append p99",
            (
                Query(p99("liangxian_append_seconds", "service", SERVICE), "{{service}}"),
                Query(
                    p99("liangxian_append_lock_wait_seconds", "service", SERVICE),
                    "{{service}} 等待锁 / lock wait",
                ),
            ),
            "s",
        ),
        Panel(
            "每秒事件 / events a second",
            (
                Query(
                    f"sum by (service) (rate(liangxian_append_batch_size_sum{{{SERVICE}}}[1m]))",
                    "{{service}}",
                ),
            ),
        ),
        Panel(
            "队列 / command queue",
            (
                Query(f"max by (service) (liangxian_command_queue_depth{{{SERVICE}}})", "{{service}}"),
                Query(
                    f"max by (service) (liangxian_command_queue_capacity{{{SERVICE}}})",
                    "{{service}} 上限 / capacity",
                ),
            ),
        ),
        Panel(
            "读模型滞后 / projection lag",
            (
                Query(
                    f"max by (service, projection) (liangxian_projection_lag_seconds{{{SERVICE}}})",
                    "{{service}} {{projection}}",
                ),
            ),
            "s",
        ),
    ),
)

MESSAGING_BOARD = Dashboard(
    "messaging",
    "消息 / Messaging",
    {"service": "label_values(liangxian_log_position, service)"},
    (
        Panel(
            "未发布事件 / events not published",
            (
                Query(
                    f"max by (service) (liangxian_log_position{{{SERVICE}}})"
                    f" - max by (service) (liangxian_relay_position{{{SERVICE}}})",
                    "{{service}}",
                ),
            ),
        ),
        Panel(
            "发布滞后 / relay lag",
            (Query(f"max by (service) (liangxian_relay_lag_seconds{{{SERVICE}}})", "{{service}}"),),
            "s",
        ),
        Panel(
            "发布失败 / failed publishes in a row",
            (Query(f"max by (service) (liangxian_relay_failures{{{SERVICE}}})", "{{service}}"),),
        ),
        Panel(
            "消费积压 / messages not applied",
            (
                Query(
                    "sum by (service, topic) (max by (service, topic, partition)"
                    f" (liangxian_consumer_lag_messages{{{SERVICE}}}))",
                    "{{service}} {{topic}}",
                ),
            ),
        ),
        Panel(
            "消费滞后 / consumer lag",
            (
                Query(
                    f"max by (service, topic) (liangxian_consumer_lag_seconds{{{SERVICE}}})",
                    "{{service}} {{topic}}",
                ),
            ),
            "s",
        ),
        Panel(
            "距最慢分区上次进展 / seconds since the slowest partition moved",
            (
                Query(
                    "time() - min by (service, topic)"
                    f" (liangxian_consumer_last_progress_timestamp_seconds{{{SERVICE}}})",
                    "{{service}} {{topic}}",
                ),
            ),
            "s",
        ),
        Panel(
            "死信与停放 / dead letters and parked",
            (
                Query(
                    f"max by (service, topic) (liangxian_dead_letters{{{SERVICE}}})", "{{service}} {{topic}}"
                ),
                Query(
                    f"max by (service, topic) (liangxian_parked_messages{{{SERVICE}}})",
                    "{{service}} {{topic}} 停放 / parked",
                ),
            ),
        ),
        Panel(
            "跳过与重订阅 / skipped and restarts",
            (
                Query(
                    f"sum by (service, reason) (rate(liangxian_messages_skipped_total{{{SERVICE}}}[1m]))",
                    "{{service}} {{reason}}",
                    may_be_empty=True,
                ),
                Query(
                    f"sum by (service, reason) (increase(liangxian_consumer_restarts_total{{{SERVICE}}}[15m]))",
                    "{{service}} 重订阅 / restart {{reason}}",
                    may_be_empty=True,
                ),
            ),
        ),
    ),
)

DASHBOARDS = (CAMPAIGN_BOARD, MONEY_BOARD, SERVICES_BOARD, MESSAGING_BOARD)
