"""A report as files: report.json, report.html (printable, nothing loaded from elsewhere), villages.csv,
environment.json, and audit.json when the audit was made."""

from __future__ import annotations

import csv
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

from deploy.rehearsal.report import TOTALS, Report

LABELS = {
    "due_fen": "应缴（标准）Due",
    "paid_fen": "个人实缴 Paid",
    "subsidised_fen": "财政资助 Subsidised",
    "deposited_fen": "日结确认 Deposited",
    "declared_fen": "已申报 Declared",
    "in_treasury_fen": "已入库 In treasury",
    "returned_fen": "已回传 Returned",
    "booked_fen": "已记账 Booked",
    "refunded_fen": "已退费 Refunded",
    "refund_due_fen": "待退费 Refund due",
    "unidentified_fen": "待查 Unidentified",
}
PACKAGES = ("fastapi", "uvicorn", "sqlalchemy", "asyncpg", "aiokafka", "msgspec", "httpx", "pydantic")
COUNTS = ("persons", "paid_persons", "exempt_persons", "rate")


def yuan(fen: int) -> str:
    """Fen as yuan with thousands separators, exactly."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), 100)
    return f"{sign}{whole:,}.{rest:02d}"


def html_of(report: Report, audit: Mapping[str, Any] | None) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("deploy.rehearsal", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["yuan"] = yuan
    template = environment.get_template("report.html.j2")
    return template.render(report=report, labels=LABELS, totals=TOTALS, audit=audit or {})


def csv_of(report: Report) -> str:
    """One line per village; opens in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["division", "name", *COUNTS, *TOTALS])
    for village in report.villages:
        writer.writerow([village[name] for name in ("division", "name", *COUNTS, *TOTALS)])
    return "\ufeff" + out.getvalue()


def environment_of(report: Report) -> dict[str, Any]:
    """On what the run was made."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "broker": report.broker,
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
