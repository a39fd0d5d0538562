"""A report as files: report.json, report.html (printable, nothing loaded from elsewhere), villages.csv,
environment.json, and audit.json when the audit was made."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from deploy.rehearsal import charts, figures
from deploy.rehearsal.report import COUNTS, TOTALS, Report

LABELS = {
    "due_fen": ("应缴（标准）", "due"),
    "paid_fen": ("个人实缴", "paid"),
    "subsidised_fen": ("财政资助", "subsidised"),
    "deposited_fen": ("已缴存", "deposited"),
    "declared_fen": ("已申报", "declared"),
    "in_treasury_fen": ("已入库", "in treasury"),
    "returned_fen": ("已回传", "returned"),
    "booked_fen": ("已记账", "booked"),
    "refunded_fen": ("已退费", "refunded"),
    "refund_due_fen": ("待退费", "refund due"),
    "unidentified_fen": ("待查", "unidentified"),
}
SHOWN = ("due_fen", "paid_fen", "subsidised_fen", "deposited_fen", "in_treasury_fen", "booked_fen")
"""Columns of the tables of areas and villages; the file has all of them."""

PIPELINE = (
    "due_fen",
    "paid_fen",
    "subsidised_fen",
    "deposited_fen",
    "in_treasury_fen",
    "returned_fen",
    "booked_fen",
)
INSURANCES = {"medical": "基本医疗保险 medical", "pension": "基本养老保险 pension"}
READINGS = {
    "printed": "原文 printed",
    "carried_over": "沿用 carried over",
    "inferred": "推定 inferred",
    "external": "外部规定 external",
}
REASONS = {
    "DIED": "死亡 died",
    "MOVED": "迁出 moved",
    "NO_TIER": "未选档次 no tier",
    "NOT_REGISTERED": "未登记 not registered",
}
"""Why somebody who paid last year is not assessed here this year."""
PACKAGES = ("fastapi", "uvicorn", "sqlalchemy", "asyncpg", "aiokafka", "msgspec", "httpx", "pydantic")
CSV_COLUMNS = ("division", "name", "area", *COUNTS, "rate", "target_persons", "target_rate", *TOTALS)


def yuan(fen: int) -> str:
    """Fen as yuan with thousands separators, exactly."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), 100)
    return f"{sign}{whole:,}.{rest:02d}"


def html_of(report: Report, audit: Mapping[str, Any] | None = None) -> str:
    """The page: A4, Chinese first, nothing loaded from elsewhere."""
    environment = Environment(
        loader=PackageLoader("deploy.rehearsal", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["yuan"] = yuan
    template = environment.get_template("report.html.j2")
    empty = dict.fromkeys((*COUNTS, "target_persons", *TOTALS), 0)
    sums = figures.summed(report.areas) if report.areas else empty
    return template.render(
        report=report,
        whole={**sums, **figures.rates(sums, report.scope)},
        labels=LABELS,
        shown=SHOWN,
        totals=TOTALS,
        insurances=INSURANCES,
        readings=READINGS,
        reasons=REASONS,
        charts=_charts(report),
        sizes=_sizes(report),
        processes=_processes(report),
        audit=audit or {},
    )


def _charts(report: Report) -> dict[str, Markup]:
    days = [(dt.date.fromisoformat(row["date"]), int(row["fen"])) for row in report.daily]
    totals = report.totals
    return {
        "pipeline": charts.bars(
            [charts.Bar(LABELS[name][0], totals[name], charts.wan_yuan(totals[name])) for name in PIPELINE],
            "从应缴到记账",
        ),
        "daily": charts.daily(days, "每日个人缴费"),
        "cumulative": charts.cumulative(days, totals["due_fen"] - totals["subsidised_fen"], "累计个人缴费"),
        "channels": charts.bars(
            [
                charts.Bar(
                    row["term"], row["fen"], f"{charts.wan_yuan(row['fen'])} · {row['share'] * 100:.1f}%"
                )
                for row in report.channels
            ],
            "各渠道金额",
        ),
    }


def _sizes(report: Report) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = [
        ("应参保人数", "persons", f"{report.persons:,}"),
        ("应缴核定", "obligations", f"{report.obligations:,}"),
        ("事件", "events", f"{report.events:,}"),
        ("消息", "messages", f"{report.messages:,}"),
    ]
    words = {"setup": "启动用时（秒）", "run": "演练用时（秒）", "verify": "核查用时（秒）"}
    rows += [
        (words.get(name, name), f"seconds {name}", f"{value:,}") for name, value in report.seconds.items()
    ]
    if report.disk_mib:
        rows.append(("磁盘（MiB）", "disk", f"{report.disk_mib:,}"))
    each = {"cpu_ms_per_person": ("每人 CPU（毫秒）", "CPU ms per person"),
            "disk_kib_per_person": ("每人磁盘（KiB）", "disk KiB per person")}  # fmt: skip
    rows += [(*each[name], f"{value:,}") for name, value in report.costs.items()]
    rows.append(
        (
            "种子、规模、消息平台",
            "seed, scale, broker",
            f"{report.seed} · {report.scale:g} · {report.broker or '—'}",
        )
    )
    return rows


def _processes(report: Report) -> list[tuple[str, str, str]]:
    """Memory and CPU seconds per process."""
    names = dict.fromkeys((*report.peak_mib, *report.cpu_seconds))
    return [(name, _told(report.peak_mib.get(name)), _told(report.cpu_seconds.get(name))) for name in names]


def _told(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"


def csv_of(report: Report) -> str:
    """One line per village, amounts in fen; opens in a spreadsheet (UTF-8 with mark)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for village in report.villages:
        writer.writerow([village[name] for name in CSV_COLUMNS])
    return "\ufeff" + out.getvalue()


def environment_of(report: Report) -> dict[str, Any]:
    """On what the run was made."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "broker": report.broker,
        "seconds": report.seconds,
        "peak_mib": report.peak_mib,
        "cpu_seconds": report.cpu_seconds,
        "disk_mib": report.disk_mib,
        "disk_mib_parts": report.disk_mib_parts,
        "costs": report.costs,
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def write_files(report: Report, out: Path, audit: Mapping[str, Any] | None = None) -> dict[str, Path]:
    """Write all files to a folder; answers them by name."""
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": report.json(),
        "report.html": html_of(report, audit),
        "villages.csv": csv_of(report),
        "environment.json": json.dumps(environment_of(report), ensure_ascii=False, indent=1) + "\n",
    }
    if audit is not None:
        texts["audit.json"] = json.dumps(audit, ensure_ascii=False, indent=1) + "\n"
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="")
    return {name: out / name for name in texts}
