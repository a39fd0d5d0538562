"""``python -m deploy.grafana.boards [--check]``: the dashboards as JSON, from ``panels``.

``--check`` writes nothing and ends with 1 when a file differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.generated import write_or_compare
from deploy.grafana.panels import DASHBOARDS, Dashboard, Panel

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS, WIDTH, HEIGHT = 3, 8, 8


def document(board: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana imports it; newest schema it needs, editable by nobody but this code."""
    return {
        "uid": f"liangxian-{board.uid}",
        "title": board.title,
        "tags": ["liangxian"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "Asia/Shanghai",
        "templating": {"list": [variable(name, query) for name, query in board.variables.items()]},
        "panels": [panel(number, each) for number, each in enumerate(board.panels)],
    }


def variable(name: str, query: str) -> dict[str, Any]:
    """A choice above the panels, all by default."""
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def panel(number: int, each: Panel) -> dict[str, Any]:
    """Three in a row."""
    return {
        "id": number + 1,
        "type": each.kind,
        "title": each.title,
        "datasource": SOURCE,
        "gridPos": {
            "x": WIDTH * (number % COLUMNS),
            "y": HEIGHT * (number // COLUMNS),
            "w": WIDTH,
            "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": each.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": each.kind == "table",
            }
            for index, query in enumerate(each.queries)
        ],
    }


def files() -> dict[str, str]:
    """File name -> text."""
    return {
        f"{board.uid}.json": json.dumps(document(board), ensure_ascii=False, indent=1) + "\n"
        for board in DASHBOARDS
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or compare."""
    return write_or_compare("Grafana 看板 / dashboards", FOLDER, "*.json", files(), arguments)


if __name__ == "__main__":
    sys.exit(main())
