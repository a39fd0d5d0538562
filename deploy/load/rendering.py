"""``rehearsal.json`` and ``rehearsal.html`` of a run: the verdict first, then curves, lag per stage, money."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import msgspec

from deploy.load.drawing import curves
from shared.kernel.money import Fen, format_yuan

JSON, HTML = "rehearsal.json", "rehearsal.html"
STAGES_SHOWN = 8


def write_files(document: dict[str, Any], folder: Path) -> Path:
    """Both files; answers the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
    page = folder / HTML
    page.write_text(render(document), encoding="utf-8")
    return page


def render(document: dict[str, Any]) -> str:
    """The page; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("deploy.load", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["yuan"] = lambda fen: format_yuan(Fen(fen))
    limits = {each["objective"]: each["limit"] for each in document["objectives"]}
    points, lag = document["curve"], document["lag"]
    across = [point["second"] for point in points]
    worst = sorted(lag["worst"], key=lambda stage: -lag["worst"][stage])[:STAGES_SHOWN]
    return environment.get_template("rehearsal.html.j2").render(
        run=document,
        latency=curves(
            across,
            {"p50": [each["p50_ms"] for each in points], "p99": [each["p99_ms"] for each in points]},
            "ms", "自应到时刻起的延迟 / latency from the due time", float(limits["p99_ms"]),
        ),
        rates=curves(
            across,
            {
                "到达 / offered": [each["offered"] for each in points],
                "受理 / accepted": [each["accepted"] for each in points],
            },
            "1/s", "每秒笔数 / orders a second",
        ),
        stages=curves(
            lag["every_seconds"], {stage: lag["stages"][stage] for stage in worst},
            "s", "各环节积压 / lag per stage",
        ),
    )  # fmt: skip
