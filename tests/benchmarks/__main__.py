"""``python -m tests.benchmarks``: the whole table, or the measures named; ``make bench`` runs all of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.benchmarks import bulk_file, closed_loop, consuming, open_loop, projecting, treasury_file
from tests.benchmarks.rig.site import Site
from tests.benchmarks.rig.table import Measure, Table

MEASURES: dict[str, Callable[[Site, Table], Awaitable[None]]] = {
    "closed": closed_loop.measure,
    "open": open_loop.measure,
    "treasury": treasury_file.measure,
    "bulk": bulk_file.measure,
    "consume": consuming.measure,
    "project": projecting.measure,
}


async def run(names: list[str], out: Path, port_base: int) -> Table:
    """Each measure on empty databases; one that fails is a fault in the table, not the end of the run."""
    machine = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
    table = Table(out, machine)
    for number, name in enumerate(names):
        with tempfile.TemporaryDirectory(prefix="liangxian-bench-") as directory:
            site = Site(Path(directory) / "site", port_base + 100 * number)
            try:
                await site.start()
                await MEASURES[name](site, table)
            except Exception as error:  # noqa: BLE001 - the other measures go on
                traceback.print_exc()
                broken = Measure(name, "")
                broken.fault(f"{type(error).__name__}: {error}")
                table.take(broken)
            finally:
                await site.stop()
    return table


def main() -> None:
    """Exit 1 when a goal is not met or a measure failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("measures", nargs="*", default=list(MEASURES), help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--port-base", type=int, default=8600)
    options = parser.parse_args()
    unknown = sorted(set(options.measures) - set(MEASURES))
    if unknown:
        parser.error(f"no such measure: {', '.join(unknown)}")
    table = asyncio.run(run(options.measures, options.out, options.port_base))
    raise SystemExit(not all(measure.met for measure in table.measures))


if __name__ == "__main__":
    main()
