"""``rehearse``: the load tester's command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.output import Exit, Json, err, fail, out, run, show_json
from deploy.load.preparing import Population
from deploy.load.profiles import Profile
from deploy.load.rehearse import Objectives, Rehearsal, SilentTargetError, UnusableTargetError, rehearse
from deploy.load.rendering import write_files
from deploy.local.programs import organisations_file
from deploy.rehearsal.clients import SERVICES, UnexpectedAnswerError
from deploy.rehearsal.driver import NotYetError
from deploy.rehearsal.resting import RestlessError

LIMIT_SECONDS = 3600.0
INTERRUPTED = "已中断：已受理的缴费留在目标系统中 / interrupted: payments already accepted stay in the target"


def rehearse_command(
    target: Annotated[
        str, typer.Option(help="任一服务的地址 / address of any of the services: http://127.0.0.1:8102")
    ],
    pack: Annotated[str, typer.Option(help="政策包 / policy pack")],
    profile: Annotated[Profile, typer.Option(help="场景 / what the run stands for")],
    rate: Annotated[float, typer.Option(min=0.1, max=50_000, help="每秒到达 / arrivals a second (Poisson)")],
    seconds: Annotated[float, typer.Option(min=1, max=LIMIT_SECONDS, help="时长 / how long")],
    out_dir: Annotated[Path, typer.Option("--out", help="报告目录 / where the report goes")] = Path(
        "out/rehearse"
    ),
    connections: Annotated[int, typer.Option(min=1, max=4096, help="连接数 / connections")] = 128,
    seed: Annotated[int, typer.Option(help="随机种子 / seed")] = 1,
    service: Annotated[
        list[str] | None, typer.Option(help="NAME=URL，可重复 / a service elsewhere, repeatable")
    ] = None,
    clients: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="接入方文件 / clients and secrets, as organisations.yaml"
        ),
    ] = None,
    agents: Annotated[
        str, typer.Option(help="代办员编号，空为无 / an agent's id with {village}; empty: no agents")
    ] = "A-{village}-1",
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="先在空的开发系统上备好征缴 / prepare an empty development system"),
    ] = False,
    place: Annotated[str, typer.Option(help="--prepare：地点 / place")] = "",
    scale: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="--prepare：人数比例 / share of people")
    ] = 1.0,
    villages: Annotated[int, typer.Option(min=0, help="--prepare：每镇街村居数 / villages of a town")] = 0,
    p99_ms: Annotated[float, typer.Option("--p99-ms", help="目标 / objective")] = 100.0,
    drained_seconds: Annotated[float, typer.Option("--drained-seconds", help="目标 / objective")] = 30.0,
    dropped: Annotated[int, typer.Option(help="目标：最多丢弃 / objective: dropped at most")] = 0,
    shed: Annotated[int, typer.Option(help="目标：最多 503 / objective: turned away at most")] = 0,
    refused_share: Annotated[
        float, typer.Option("--refused-share", help="目标：被拒比例 / objective")
    ] = 0.05,
    may_load: Annotated[
        bool, typer.Option("--i-may-load-this-target", help="目标不在本机时必须 / needed off this machine")
    ] = False,
    as_json: Json = False,
) -> None:
    """压测 / load on a running system: payers from its roster, an open loop, an audit of every fen.

    Ends with 1 when an objective is missed or any money is not where both sides say it is.
    """
    asked = Rehearsal(
        target=target, pack=pack, profile=profile, rate=rate, seconds=seconds,
        secrets_file=clients or organisations_file(), services=_services(service or ()),
        connections=connections, seed=seed, agents=agents,
        population=Population(place, scale, villages, seed) if prepare else None,
        objectives=Objectives(p99_ms, drained_seconds, dropped, shed, refused_share), allowed=may_load,
    )  # fmt: skip
    document = run(lambda: _rehearse(asked), INTERRUPTED, fast=True)
    page = write_files(document, out_dir)
    if as_json:
        show_json(document)
    else:
        _show(document, page)
    if not document["passed"]:
        raise typer.Exit(int(Exit.DIFFERENCE))


def _services(named: list[str] | tuple[()]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in named:
        name, _, url = each.partition("=")
        if name not in SERVICES or not url:
            fail(Exit.USAGE, f"--service {each!r}: collection=http://HOST:PORT")
        found[name] = url.rstrip("/")
    return found


async def _rehearse(asked: Rehearsal) -> dict[str, Any]:
    err.print(f"压测中 / loading {asked.target} …", markup=False)
    try:
        return await rehearse(asked)
    except UnusableTargetError as fault:
        fail(Exit.USAGE, str(fault))
    except SilentTargetError as fault:
        fail(Exit.TIMED_OUT, str(fault))
    except UnexpectedAnswerError as fault:
        fail(Exit.DIFFERENCE if fault.status else Exit.UNREACHABLE, str(fault))
    except (NotYetError, OSError) as fault:
        fail(Exit.UNREACHABLE, f"无法连接 / unreachable: {type(fault).__name__}")
    except RestlessError as fault:
        fail(Exit.TIMED_OUT, f"系统未静止 / the system did not come to rest: {fault}")


def _show(document: dict[str, Any], page: Path) -> None:
    figures = document["figures"]
    for name in ("offered", "accepted", "refused", "shed", "late", "dropped", "unanswered", "replayed"):
        out.print(f"{name:<24}{figures[name]}", markup=False)
    for name, value in figures["latency_ms"].items():
        out.print(f"{f'latency {name} ms':<24}{value}", markup=False)
    for each in document["objectives"]:
        mark = "✓" if each["met"] else "✗"
        sign = "≥" if each["objective"] == "accepted" else "≤"
        out.print(f"{mark} {each['objective']}: {each['measured']} ({sign} {each['limit']})", markup=False)
    out.print(f"报告 / report: {page}", markup=False)
