"""Curves of a run as SVG text: no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 680, 170
LEFT, TOP, BOTTOM, RIGHT = 62, 10, 26, 8
INK, SOFT, RULE = "#1c2430", "#5b6675", "#c9ced6"
COLOURS = ("#2f6690", "#b5532a", "#3f7d4e", "#7a4b94", "#8a6d1d", "#3a8a8c", "#a23b5c", "#555555")
STROKES = ("", "6 3", "2 3", "8 3 2 3")
TICKS = 4


def curves(
    across: Sequence[float], lines: Mapping[str, Sequence[float]], unit: str, title: str, limit: float = 0.0
) -> Markup:
    """Several lines over seconds, on one scale from 0; ``limit`` is dashed (0: none). Empty for no points."""
    points = [value for values in lines.values() for value in values]
    if not across or not points:
        return Markup("")
    top = _round_up(max(*points, limit, 0.001))
    last = max(across[-1], 0.001)
    high, wide = HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT

    def x(second: float) -> float:
        return LEFT + wide * second / last

    def y(value: float) -> float:
        return TOP + high * (1 - value / top)

    parts = []
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{RULE}"/>'
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{SOFT}">{value:g}</text>'
        )
        second = last * tick / TICKS
        parts.append(
            f'<text x="{x(second):.1f}" y="{HEIGHT - 8}" text-anchor="middle" fill="{SOFT}">{second:.0f} s</text>'
        )
    for number, values in enumerate(lines.values()):
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in zip(across, values, strict=False))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="1.6"'
            f' stroke-dasharray="{STROKES[number // 2 % len(STROKES)]}"/>'
        )
    if limit:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="{INK}"'
            ' stroke-dasharray="5 4"/>'
        )
    picture = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" font-size="11">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
    return Markup(
        f"<figure><figcaption>{escape(title)} ({escape(unit)})</figcaption>{picture}{_key(lines)}</figure>"
    )


def _key(lines: Mapping[str, Sequence[float]]) -> str:
    entries = (
        f'<li><span style="background:{COLOURS[number % len(COLOURS)]}"></span>{escape(name)}</li>'
        for number, name in enumerate(lines)
    )
    return f'<ul class="key">{"".join(entries)}</ul>'


def _round_up(most: float) -> float:
    unit = 1e-3
    while unit * 10 <= most:
        unit *= 10
    return next((unit * factor for factor in (1, 2, 4, 5, 8) if unit * factor >= most), unit * 10)
