"""Charts of the printed report as SVG text (图表): no script, no font, nothing loaded; readable in black and white.

Every function is pure and answers markup whose texts are escaped; amounts go in as fen, are drawn in proportion
and labelled in 元 or 万元.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH = 680
DATE_WIDE = 78
INK, SOFT, BAR, LINE = "#1c2430", "#5b6675", "#2f6690", "#c9ced6"
FEN_PER_WAN = 1_000_000
FEN_PER_HUNDREDTH = FEN_PER_WAN // 100


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a bar chart: what it is called, how long it is (any unit), what stands behind it."""

    label: str
    value: int
    note: str


def wan_yuan(fen: int) -> str:
    """Fen in 万元 with two decimals, half up, for axes and labels where the table beside them is exact."""
    whole, rest = divmod((abs(fen) + FEN_PER_HUNDREDTH // 2) // FEN_PER_HUNDREDTH, 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02d}"


def bars(rows: Sequence[Bar], title: str) -> Markup:
    """Horizontal bars on one scale, longest full width; empty for no rows."""
    if not rows:
        return Markup("")
    most = max(*(row.value for row in rows), 1)
    left, right, step = 168, 190, 24
    parts = []
    for index, row in enumerate(rows):
        y = index * step
        long = (WIDTH - left - right) * max(row.value, 0) / most
        parts.append(
            f'<text x="{left - 8}" y="{y + 16}" text-anchor="end" fill="{INK}">{escape(row.label)}</text>'
            f'<rect x="{left}" y="{y + 5}" width="{long:.1f}" height="14" rx="2" fill="{BAR}"/>'
            f'<text x="{left + long + 6:.1f}" y="{y + 16}" fill="{SOFT}">{escape(row.note)}</text>'
        )
    return _svg("".join(parts), len(rows) * step + 2, title)


def daily(days: Sequence[tuple[dt.date, int]], title: str) -> Markup:
    """A column per day from the first to the last, days without money included; 万元 on the left."""
    if not days:
        return Markup("")
    amounts = dict(days)
    first, last = min(amounts), max(amounts)
    count = (last - first).days + 1
    left, top, height = 62, 10, 150
    most = max(*amounts.values(), 1)
    scale, ticks = _axis(most)
    wide = (WIDTH - left - 6) / count
    parts = [_grid(left, top, height, scale, ticks)]
    dates = _dates(first, count)
    for offset in range(count):
        day = first + dt.timedelta(days=offset)
        fen = amounts.get(day, 0)
        tall = height * fen / scale
        x = left + offset * wide
        if fen:
            parts.append(
                f'<rect x="{x + wide * 0.1:.1f}" y="{top + height - tall:.1f}" width="{max(wide * 0.8, 0.8):.1f}"'
                f' height="{tall:.1f}" fill="{BAR}"><title>{day} {wan_yuan(fen)} 万元</title></rect>'
            )
        if offset in dates:
            parts.append(_date(x, top + height, day, anchor="start" if x < WIDTH - DATE_WIDE else "end"))
    return _svg("".join(parts), top + height + 24, title)


def _dates(first: dt.date, count: int) -> list[int]:
    """Offsets that get a date: the first of each month, and the first day where there is room for it."""
    months = [offset for offset in range(count) if (first + dt.timedelta(days=offset)).day == 1]
    room = (months[0] if months else count) * (WIDTH - 68) / count
    return months if months and room < DATE_WIDE else [0, *months]


def cumulative(days: Sequence[tuple[dt.date, int]], goal: int, title: str) -> Markup:
    """Amounts added up day by day, and the goal as a dashed line (0: none)."""
    if not days:
        return Markup("")
    amounts = dict(days)
    first, last = min(amounts), max(amounts)
    count = max((last - first).days, 1)
    left, top, height = 62, 10, 130
    scale, ticks = _axis(max(sum(amounts.values()), goal, 1))
    points, total = [], 0
    for offset in range((last - first).days + 1):
        total += amounts.get(first + dt.timedelta(days=offset), 0)
        x = left + (WIDTH - left - 6) * offset / count
        points.append(f"{x:.1f},{top + height - height * total / scale:.1f}")
    parts = [_grid(left, top, height, scale, ticks)]
    parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{BAR}" stroke-width="2"/>')
    if goal:
        y = top + height - height * goal / scale
        over = y - 5 if y > top + 14 else y + 14
        parts.append(
            f'<line x1="{left}" x2="{WIDTH - 6}" y1="{y:.1f}" y2="{y:.1f}" stroke="{INK}"'
            f' stroke-dasharray="5 4"/><text x="{WIDTH - 8}" y="{over:.1f}" text-anchor="end"'
            f' fill="{INK}">{escape("个人应缴 owed by persons")} {wan_yuan(goal)} 万元</text>'
        )
    parts.append(_date(left, top + height, first))
    parts.append(_date(WIDTH - 6, top + height, last, anchor="end"))
    return _svg("".join(parts), top + height + 24, title)


def _axis(most: int) -> tuple[int, int]:
    """A round maximum at or above the most, and into how many parts it is ruled."""
    unit = 1
    while unit * 10 <= most:
        unit *= 10
    for factor, ticks in ((1, 4), (2, 4), (4, 4), (5, 5), (8, 4), (10, 5)):
        if unit * factor >= most:
            return unit * factor, ticks
    return unit * 10, 5


def _grid(left: int, top: int, height: int, scale: int, ticks: int) -> str:
    parts = []
    for tick in range(ticks + 1):
        y = top + height - height * tick / ticks
        parts.append(
            f'<line x1="{left}" x2="{WIDTH - 6}" y1="{y:.1f}" y2="{y:.1f}" stroke="{LINE}"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{SOFT}">'
            f"{wan_yuan(scale * tick // ticks)}</text>"
        )
    return "".join(parts)


def _date(x: float, y: float, day: dt.date, anchor: str = "start") -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 4}" stroke="{SOFT}"/>'
        f'<text x="{x:.1f}" y="{y + 17}" text-anchor="{anchor}" fill="{SOFT}">{day:%Y-%m-%d}</text>'
    )


def _svg(body: str, height: float, title: str) -> Markup:
    """The picture; its title is what a screen reader says."""
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}"'
        f' font-size="12"><title>{escape(title)}</title>{body}</svg>'
    )
