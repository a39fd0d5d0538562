"""``report.html`` and ``villages.csv`` from a report: Chinese first, printable, nothing loaded from anywhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from deploy.rehearsal.report import TOTALS, Report
from shared.kernel.money import Fen, format_yuan

MONEY_WORDS: Mapping[str, str] = {
    "due_fen": "应缴 due",
    "paid_fen": "已缴 paid",
    "subsidised_fen": "代缴 subsidised",
    "deposited_fen": "已解缴 deposited",
    "declared_fen": "已申报 declared",
    "in_treasury_fen": "已入库 in treasury",
    "returned_fen": "已回传 returned",
    "booked_fen": "已记账 booked",
    "refunded_fen": "已退费 refunded",
    "refund_due_fen": "待退费 refund due",
    "unidentified_fen": "待查款项 unidentified",
}
READINGS: Mapping[str, str] = {
    "printed": "原文 printed",
    "carried_over": "沿用 carried over",
    "inferred": "推定 inferred",
    "external": "外部规定 external",
}
COUNTS = ("division", "name", "persons", "paid_persons", "exempt_persons", "rate")

STYLE = """
:root { color-scheme: light; --line: #c9ced6; --soft: #f3f5f8; --good: #17653a; --bad: #a01c1c; }
body { font: 15px/1.55 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; color: #16191f;
  margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p.sub { color: #505866; margin: 0 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { border: 1px solid var(--line); padding: .3rem .5rem;
  text-align: left; vertical-align: top } th { background: var(--soft); font-weight: 600 }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.good { color: var(--good); font-weight: 600 } .bad { color: var(--bad); font-weight: 600 }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .6rem }
.card { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem }
.card b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
@media print { body { margin: 0; max-width: none } h2 { break-after: avoid } tr { break-inside: avoid } }
"""


def villages_csv(report: Report) -> str:
    """A row per village, amounts in fen; with a byte order mark, so that spreadsheets read the names."""
    file = io.StringIO()
    writer = csv.writer(file)
    names = (*COUNTS, *TOTALS)
    writer.writerow(names)
    for village in report.villages:
        writer.writerow([village.get(name, "") for name in names])
    return "\ufeff" + file.getvalue()


def html_page(report: Report) -> str:
    """The report for people."""
    failed = [row for row in report.invariants if not _holds(row)]
    sections = [
        _heading(report),
        _cards(report, len(failed)),
        _section("资金 Money", _totals(report)),
        _section("村居 Villages", _villages(report)),
        _section("流程 Steps", _steps(report)),
        _section("注入事件 Injected", _injected(report)),
        _section("不变量 Invariants", _invariants(report)),
        _section("运行 The run", _run(report)),
    ]
    title = escape(f"{report.place} {report.campaign}")
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _holds(row: Mapping[str, Any]) -> bool:
    return not row["violations"] and bool(row["checked"] or row.get("not_applicable"))


def _heading(report: Report) -> str:
    pack = report.pack
    told = f"{pack['id']} v{pack['version']} · {report.campaign} · {report.broker} · seed {report.seed}"
    scale = f" · scale {report.scale:g}"
    return (
        f"<h1>两险通 征缴演练报告 · {escape(report.place)}</h1>"
        f'<p class="sub">Rehearsal of a campaign · {escape(told + scale)} · '
        "人员均为合成 all people are synthetic</p>"
    )


def _cards(report: Report, failed: int) -> str:
    cards = [
        ("未解释金额 unaccounted", _yuan(report.unaccounted_fen), report.unaccounted_fen == 0),
        ("未了差异 open differences", _yuan(report.difference_fen), None),
        ("比对记录 records compared", f"{report.records_compared:,}", report.records_compared > 0),
        ("不变量未过 invariants failed", f"{failed} / {len(report.invariants)}", failed == 0),
        ("人员 persons", f"{report.persons:,}", None),
        ("应缴笔数 obligations", f"{report.obligations:,}", None),
    ]
    shown = [
        f'<div class="card">{escape(label)}<b class="{_class(good)}">{escape(value)}</b></div>'
        for label, value, good in cards
    ]
    return f'<div class="cards">{"".join(shown)}</div>'


def _class(good: bool | None) -> str:
    return "" if good is None else "good" if good else "bad"


def _yuan(fen: int) -> str:
    return f"{format_yuan(Fen(fen))} 元"


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return f"<td>{escape(str(value))}</td>"


def _number(value: object) -> str:
    return f'<td class="n">{escape(str(value))}</td>'


def _mark(good: bool) -> str:
    return f'<td class="{_class(good)}">{"✓" if good else "✗"}</td>'


def _totals(report: Report) -> str:
    rows = [[_text(MONEY_WORDS[name]), _number(_yuan(report.totals.get(name, 0)))] for name in TOTALS]
    return _table(("项目 item", "金额 amount"), rows)


def _villages(report: Report) -> str:
    heads = (
        "代码 division",
        "村居 village",
        "人数 persons",
        "已缴 paid",
        "免缴 exempt",
        "参保率 rate",
        "应缴 due",
        "已收 received",
    )
    rows = [
        [
            _text(village["division"]),
            _text(village["name"]),
            *(_number(village[name]) for name in ("persons", "paid_persons", "exempt_persons")),
            _number(f"{village['rate'] * 100:.1f}%"),
            *(_number(_yuan(village[name])) for name in ("due_fen", "paid_fen")),
        ]
        for village in report.villages
    ]
    return _table(heads, rows)


def _steps(report: Report) -> str:
    rows = [
        [
            _text(f"{step.get('term', '')} {step['step']}"),
            _text(READINGS.get(step["reading"], step["reading"])),
            _text(step["clause"]),
            _number(f"{step['events']:,}"),
        ]
        for step in report.steps
    ]
    return _table(("步骤 step", "依据 reading", "条款 clause", "事件 events"), rows)


def _injected(report: Report) -> str:
    rows = [
        [
            _text(each["kind"]),
            _text(each["expected"]),
            _text(each["outcome"]),
            _mark(each["outcome"] == each["expected"]),
        ]
        for each in report.injected
    ]
    return _table(("事件 event", "应有结果 expected", "实际结果 outcome", ""), rows)


def _invariants(report: Report) -> str:
    rows = [
        [
            _text(row["id"]),
            _number(f"{row['checked']:,}"),
            _number(row["violations"]),
            _text(row.get("not_applicable", "") or ", ".join(row.get("details", ())[:3])),
            _mark(_holds(row)),
        ]
        for row in report.invariants
    ]
    return _table(("编号 id", "已查 checked", "违反 violations", "说明 note", ""), rows)


def _run(report: Report) -> str:
    rows = [
        [_text("事件 events"), _number(f"{report.events:,}")],
        [_text("消息 messages"), _number(f"{report.messages:,}")],
        [_text("磁盘 disk"), _number(f"{report.disk_mib} MiB")],
        *([_text(f"耗时 {name}"), _number(f"{value} s")] for name, value in report.seconds.items()),
        *([_text(f"内存峰值 {name}"), _number(f"{value} MiB")] for name, value in report.peak_mib.items()),
        *([_text(name), _text(address)] for name, address in report.endpoints.items()),
    ]
    return _table(("项目 item", "值 value"), rows)
