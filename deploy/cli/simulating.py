"""``simulate``: villages in one process under a drawn order of tasks and drawn faults, each audited."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from deploy.cli.output import Exit, Json, err, fail, out, show_json


def simulate(
    seeds: Annotated[str, typer.Option(help="种子范围 A..B / seeds from A to B")] = "1..20",
    trace: Annotated[
        int | None, typer.Option(help="只运行这个种子并打印经过 / run this seed only and print what happened")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="并行进程数 / processes at once")] = 1,
    record: Annotated[
        Path | None,
        typer.Option(
            help="结果簿：中断后从此继续 / a file of what is done: an interrupted run goes on from it"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """仿真四个服务与外部世界：同一种子同一经过 / the whole system in one process; one seed, one history.

    A failing seed prints its shortest trace. Ends with 1 when a seed failed.
    """
    if trace is not None:
        _show_trace(trace, as_json=as_json)
        return
    wanted = _range(seeds)
    started = time.monotonic()
    failed: list[Any] = []
    events = ran = 0
    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("种子 seeds", total=len(wanted))
        for done, (history, known) in enumerate(_all(wanted, jobs, record), 1):
            events += history.events
            ran += not known
            if history.failure:
                failed.append(history)
                err.print(f"{history.seed}: {history.detail}", markup=False)
            progress.advance(bar)
            if done % 100 == 0 and not err.is_terminal:
                err.print(f"{done}/{len(wanted)}", markup=False)
    seconds = time.monotonic() - started
    report = {
        "seeds": len(wanted),
        "failed": [
            {name: getattr(one, name) for name in ("seed", "failure", "detail", "digest")} for one in failed
        ],
        "events": events,
        "seconds": round(seconds, 1),
        "seeds_per_second": round(ran / seconds, 2),
    }
    if as_json:
        show_json(report)
    else:
        out.print(f"{len(wanted)} 种子 seeds · {report['seeds_per_second']}/s · 失败 failed {len(failed)}")
    if failed:
        if not as_json:
            _show_shortest(failed[0].seed)
        raise typer.Exit(int(Exit.DIFFERENCE))


def _all(wanted: range, jobs: int, path: Path | None) -> Iterator[tuple[Any, bool]]:
    """Every history, and whether it was recorded before."""
    from deploy.simulation.many import OtherCodeError, Record, histories

    if path is None:
        for history in histories(wanted, jobs):
            yield history, False
        return
    try:
        record = Record(path)
    except OtherCodeError:
        fail(Exit.USAGE, "结果簿属于另一版代码 / the record is of other code")
    with record:
        yield from ((record.done[seed], True) for seed in wanted if seed in record.done)
        for history in histories([seed for seed in wanted if seed not in record.done], jobs):
            record.add(history)
            yield history, False


def _range(text: str) -> range:
    found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        fail(Exit.USAGE, "种子范围写作 A..B / write the seeds as A..B")
    return range(first, last + 1)


def _show_trace(seed: int, *, as_json: bool) -> None:
    from deploy.simulation.plan import draw_plan
    from deploy.simulation.running import Workshop

    with contextlib.closing(Workshop()) as workshop:
        history = workshop.run(draw_plan(seed), traced=True)
    if as_json:
        show_json(msgspec.to_builtins(history))
    else:
        out.print("\n".join([*draw_plan(seed).lines(), *history.record]), markup=False)
        out.print(history.detail or f"合格 sound · {history.digest}", markup=False)
    if history.failure:
        if not as_json:
            _show_shortest(seed)
        raise typer.Exit(int(Exit.DIFFERENCE))


def _show_shortest(seed: int) -> None:
    """The decisions that are enough for the failure, and what happens under them."""
    from deploy.simulation.plan import draw_plan
    from deploy.simulation.running import Workshop
    from deploy.simulation.shrinking import shortest

    with contextlib.closing(Workshop()) as workshop:
        failure = workshop.run(draw_plan(seed)).failure
        plan = shortest(draw_plan(seed), failure, workshop.run)
        history = workshop.run(plan, traced=True)
    out.print(f"最短经过 / the shortest trace of seed {seed}: {failure}", markup=False)
    out.print("\n".join([*plan.lines(), "", *history.record, "", history.detail]), markup=False)
