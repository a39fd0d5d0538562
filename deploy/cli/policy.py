"""``assess`` and ``packs``: what a person owes and why, and the policy packs themselves."""

from __future__ import annotations

import datetime as dt
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from deploy.cli.output import Exit, Json, fail, out, show_json
from shared.kernel.identity import Sex
from shared.kernel.insurance import Insurance
from shared.kernel.money import Fen, format_yuan
from shared.policy import (
    Assessment,
    AssessmentRequest,
    Hukou,
    Outcome,
    Pack,
    PackInvalidError,
    assess,
    check_pack,
    copy_to_year,
    diff_packs,
    dump,
    load_file,
    revise,
)
from shared.policy.registry import PackRegistry, open_registry

packs_app = typer.Typer(no_args_is_help=True, help="政策包 / policy packs")


class FamilyPlanning(StrEnum):
    """计划生育家庭."""

    ONE_CHILD = "one-child"
    TWO_DAUGHTERS = "two-daughters"


def chosen_pack(name: str) -> Pack:
    """A shipped pack by id, or a file. Ends with USAGE when it is neither."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        try:
            return load_file(path)
        except (OSError, PackInvalidError) as fault:
            fail(Exit.USAGE, f"政策包无效 / not a policy pack: {type(fault).__name__}")
    held = held_packs()
    found = held.newest(name)
    if found is None:
        fail(
            Exit.USAGE,
            f"没有此政策包 / no such pack. 现有 / there are: {', '.join(sorted({p.id for p in held}))}",
        )
    return found


def held_packs() -> PackRegistry:
    """The shipped packs and those of ``LIANGXIAN_PACKS``. Ends with USAGE for a faulty file."""
    folder = os.environ.get("LIANGXIAN_PACKS", "")
    try:
        return open_registry(Path(folder) if folder else None)
    except PackInvalidError as fault:
        fail(Exit.USAGE, f"政策包无效 / not a policy pack: {fault}")


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("YYYY-MM-DD") from None


Day = Annotated[dt.date, typer.Option(parser=_day, metavar="YYYY-MM-DD")]


def _parameters(given: list[str]) -> dict[str, int | bool | str]:
    found: dict[str, int | bool | str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter("K=V 或 / or K=V@source", param_hint="--param")
        found[name] = value
    return found


def assess_command(
    pack: Annotated[str, typer.Option(help="政策包编号或文件 / pack id or file")],
    insurance: Annotated[Insurance, typer.Option(help="险种 / insurance")],
    birth: Annotated[dt.date, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="出生日期 / birth date")],
    paid_at: Annotated[
        dt.date, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="缴费日期 / day of payment")
    ],
    channel: Annotated[str, typer.Option(help="缴费渠道：代码或中文 / channel, code or Chinese term")],
    category: Annotated[
        list[str] | None, typer.Option(help="人员类别，可重复 / category, repeatable; code or Chinese term")
    ] = None,
    tier: Annotated[
        int | None, typer.Option(metavar="YUAN", help="养老缴费档次（元）/ pension tier, yuan")
    ] = None,
    sex: Annotated[Sex | None, typer.Option(help="性别 / sex")] = None,
    spouse_birth: Annotated[
        dt.date | None,
        typer.Option(parser=_day, metavar="YYYY-MM-DD", help="配偶出生日期 / spouse's birth date"),
    ] = None,
    family_planning: Annotated[
        FamilyPlanning | None, typer.Option(help="计生家庭 / family-planning family")
    ] = None,
    hukou: Annotated[Hukou, typer.Option(help="户籍在辖区内或外 / hukou inside or outside")] = Hukou.IN,
    permit: Annotated[bool, typer.Option("--permit", help="持居住证 / holds a residence permit")] = False,
    student: Annotated[bool, typer.Option("--student", help="在校学生 / enrolled student")] = False,
    employee_insured: Annotated[
        bool, typer.Option("--employee-insured", help="已参加职工保险 / insured as an employee")
    ] = False,
    listed: Annotated[
        list[str] | None, typer.Option(help="在哪个部门的名单上，可重复 / on whose list, repeatable")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="参数 K=V@来源，可重复 / parameter K=V@source, repeatable"),
    ] = None,
    as_json: Json = False,
) -> None:
    """核定：一个人应缴多少、为什么 / what a person owes, and why.

    The same answer as POST /assessments:quote. Ends with 1 when the assessment is refused.
    """
    request = AssessmentRequest(
        insurance=insurance,
        birth=birth,
        paid_at=paid_at,
        channel=channel,
        categories=tuple(category or ()),
        tier_yuan=tier,
        sex=sex,
        spouse_birth=spouse_birth,
        family_planning=family_planning.value if family_planning else None,
        hukou=hukou,
        permit=permit,
        student=student,
        employee_insured=employee_insured,
        listed=tuple(listed or ()),
        params=_parameters(param or []),
    )
    answer = assess(chosen_pack(pack), request)
    if as_json:
        show_json(answer.as_dict())
    else:
        _show(answer)
    if answer.outcome is Outcome.REFUSED:
        raise typer.Exit(int(Exit.DIFFERENCE))


def _yuan(fen: Fen) -> str:
    return f"{format_yuan(fen)} 元"


def _show(answer: Assessment) -> None:
    if answer.refusal is not None:
        out.print(f"不予核定 / refused: {answer.refusal.code} {answer.refusal.rule}", markup=False)
        out.print(f"  {answer.refusal.message}  [{answer.refusal.clause}]", markup=False)
    else:
        out.print(f"应缴标准 / standard: {_yuan(answer.standard_fen)}")
        out.print(f"个人应缴 / personal: {_yuan(answer.personal_fen)}")
        for leg in answer.legs:
            out.print(f"  {leg.payer.value:<10} {_yuan(leg.fen)}  {leg.rule}  {leg.clause}", markup=False)
        if answer.matching_subsidy_fen:
            out.print(f"政府补贴 / matching subsidy: {_yuan(answer.matching_subsidy_fen)}")
        if answer.family_planning_fen:
            out.print(f"计生补贴 / family planning: {_yuan(answer.family_planning_fen)}")
        if answer.entitled_from is not None:
            out.print(f"待遇期 / entitled: {answer.entitled_from} … {answer.entitled_to}")
    for warning in answer.warnings:
        out.print(f"提示 / warning {warning.code}: {warning.message}", markup=False)
    table = Table("规则 / rule", "条款 / clause", "读法 / reading", "取值 / inputs")
    for line in answer.explanation:
        inputs = ", ".join(f"{key}={value}" for key, value in line.inputs.items())
        table.add_row(line.rule, f"{line.clause} {line.discrepancy}".strip(), line.reading.value, inputs)
    out.print(table)


@packs_app.command("list")
def list_packs(as_json: Json = False) -> None:
    """列出政策包 / list the packs that ship, and those of LIANGXIAN_PACKS."""
    packs = sorted(held_packs(), key=lambda pack: (pack.insured_year, pack.id, pack.version))
    if as_json:
        rows = [
            {
                "id": pack.id,
                "version": pack.version,
                "digest": pack.digest,
                "year": pack.insured_year,
                "region": pack.region.division,
            }
            for pack in packs
        ]
        show_json({"packs": rows})
        return
    table = Table("编号 / id", "年度 / year", "区划 / region", "版本 / version", "摘要 / digest")
    for pack in packs:
        table.add_row(
            pack.id, str(pack.insured_year), pack.region.division, str(pack.version), pack.digest[:12]
        )
    out.print(table)


@packs_app.command("show")
def show_pack(pack: str, as_json: Json = False) -> None:
    """查看政策包：类别、渠道、窗口、参数及来源 / categories, channels, windows, parameters, sources."""
    found = chosen_pack(pack)
    if as_json:
        document: dict[str, Any] = msgspec.to_builtins(found.document)
        show_json({**document, "digest": found.digest})
        return
    out.print(f"{found.id} v{found.version} {found.digest[:12]}  {found.insured_year}", markup=False)
    windows = Table("险种 / insurance", "从 / from", "到 / to", "条款 / clause", title="征缴窗口 / windows")
    for insurance in Insurance:
        span = found.window(insurance.value)
        windows.add_row(insurance.value, str(span.start), str(span.end), span.clause)
    out.print(windows)
    categories = Table(
        "代码 / code", "中文 / term", "别名 / aliases", "条款 / clause", title="类别 / categories"
    )
    for each in found.document.categories:
        categories.add_row(each.code, each.term, "、".join(each.aliases), each.clause)
    out.print(categories)
    channels = Table("代码 / code", "中文 / term", "方式 / kinds", "条款 / clause", title="渠道 / channels")
    for channel in found.document.channels:
        kinds = ", ".join(kind.value for kind in channel.kinds)
        channels.add_row(channel.code, channel.term, kinds, channel.clause)
    out.print(channels)
    parameters = Table(
        "参数 / name", "值 / value", "条款 / clause", "用途 / purpose", title="参数 / parameters"
    )
    for parameter in found.document.parameters:
        value = "未定 / unspecified" if parameter.value is None else str(parameter.value)
        parameters.add_row(parameter.name, value, parameter.clause, parameter.purpose)
    out.print(parameters)


@packs_app.command("check")
def check_file(file: Path, as_json: Json = False) -> None:
    """检查政策包文件 / check a pack file. Ends with 1 when it has faults."""
    try:
        faults = [msgspec.to_builtins(fault) for fault in check_pack(load_file(file))]
    except PackInvalidError as fault:
        faults = [{"rule": "PACK_INVALID", "message": str(fault)}]
    except OSError as fault:
        fail(Exit.USAGE, f"读不到文件 / cannot read the file: {type(fault).__name__}")
    if as_json:
        show_json({"file": file.name, "faults": faults})
    else:
        for each in faults:
            out.print(" ".join(str(value) for value in each.values()), markup=False)
        out.print("合格 / sound" if not faults else f"{len(faults)} 处问题 / faults")
    if faults:
        raise typer.Exit(int(Exit.DIFFERENCE))


@packs_app.command("copy")
def copy_pack(
    pack: str,
    year: Annotated[int, typer.Option(help="参保年度 / insured year of the copy")],
    file: Annotated[Path, typer.Option("--out", help="写到此文件 / file to write")],
    pack_id: Annotated[str, typer.Option("--id", help="编号，缺省换年度 / id of the copy")] = "",
) -> None:
    """复制为另一年度的合成方案 / copy a plan for another year, marked as synthetic."""
    source = chosen_pack(pack)
    name = pack_id or f"{source.id.rpartition('-')[0]}-{year}"
    try:
        copy = copy_to_year(source, name, year)
    except ValueError as fault:
        fail(Exit.USAGE, f"编号须以年度结尾 / {fault}")
    _write_pack(
        file, copy, f"合成：由 {source.id} 复制 / synthetic: copied from {source.id}; nobody issued it"
    )


@packs_app.command("revise")
def revise_pack(
    pack: str,
    file: Annotated[Path, typer.Option("--out", help="写到此文件 / file to write")],
    param: Annotated[list[str], typer.Option(help="参数=值 / name=value; repeatable")],
    source: Annotated[str, typer.Option(help="依据文件 / the document that orders it")],
) -> None:
    """拟定下一版本 / write a pack's next version with parameters set from a source."""
    base = chosen_pack(pack)
    clause = f"EXT:{''.join(source.split())}"
    try:
        values = dict(each.split("=", 1) for each in param)
        revised = revise(base, values, clause)
    except KeyError as fault:
        fail(Exit.USAGE, f"没有此参数 / no such parameter: {fault.args[0]}")
    except ValueError:
        fail(Exit.USAGE, "参数须写作 名=值，且合其类型 / parameters are name=value and fit their kind")
    _write_pack(file, revised, f"{base.id} v{revised.version}: {source}")


def _write_pack(file: Path, pack: Pack, heading: str) -> None:
    if file.exists():
        fail(Exit.USAGE, "文件已存在 / the file exists already")
    file.write_text(dump(pack, heading), encoding="utf-8")
    out.print(f"{pack.id} v{pack.version} {pack.digest[:12]} → {file.name}", markup=False)


@packs_app.command("diff")
def diff(first: str, second: str, as_json: Json = False) -> None:
    """比较两个政策包 / compare two packs (ids or files)."""
    changes = diff_packs(chosen_pack(first), chosen_pack(second))
    if as_json:
        show_json({"changes": changes})
        return
    table = Table("路径 / path", first, second)
    for change in changes:
        table.add_row(*(escape(str(each)) for each in (change.path, change.before, change.after)))
    out.print(table)
