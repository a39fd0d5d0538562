"""任务分配表 of ST-2020 and SC-2025 (I-02), row by row."""

from __future__ import annotations

import msgspec
import pytest

from shared.policy import load_pack, task_table_faults, task_totals

SHANTING = [
    ("山城街道办", "370406001", 53, 17800, 665, 83825, 21794500),
    ("西集镇", "370406102", 15, 6370, 249, 29079, 7560540),
    ("城头镇", "370406105", 21, 13430, 457, 39796, 10346960),
    ("桑村镇", "370406103", 22, 15110, 557, 56146, 14597960),
    ("凫城镇", "370406109", 18, 6620, 214, 26753, 6955780),
    ("北庄镇", "370406104", 21, 13270, 407, 37579, 9770540),
    ("水泉镇", "370406107", 36, 12990, 425, 38045, 9891700),
    ("冯卯镇", "370406108", 35, 13230, 432, 48666, 12653160),
    ("店子镇", "370406101", 17, 11300, 360, 28126, 7312760),
    ("徐庄镇", "370406106", 42, 18330, 559, 49839, 12958140),
]

SHANCHENG = {
    "城市社区": 4230,
    "花泉社区": 960,
    "后官庄社区": 1614,
    "前官庄社区": 1975,
    "沈庄社区": 2090,
    "王峪村": 1810,
    "驳山头村": 1315,
    "沃里村": 1025,
    "善崮村": 2217,
    "横岭村": 2195,
    "东江村": 2756,
    "养子峪村": 1047,
    "海子村": 941,
    "库山头村": 1292,
    "河崖村": 1079,
    "刘庄村": 2485,
    "柱子山村": 1293,
    "南庄社区": 1801,
    "东鲁社区": 1892,
    "西山腰村": 916,
    "西鲁社区": 1459,
    "南岭村": 1045,
    "东南庄村": 1334,
    "东山腰村": 1452,
    "段庄村": 575,
    "三山前村": 1004,
    "石龙口村": 1362,
    "朴山前村": 1195,
    "东山亭社区": 3749,
    "西山亭社区": 1650,
    "柴林社区": 1994,
    "郭庄社区": 1106,
    "双山社区": 1960,
    "桃山村": 1500,
    "格上社区": 1090,
    "中水峪村": 1287,
    "小王庄村": 1159,
    "吴庄村": 1073,
    "岩头村": 1577,
    "南官庄村": 1349,
    "岩底村": 1423,
    "岩店村": 1156,
    "枣树岭村": 1247,
    "沙河头村": 956,
    "薄板村": 902,
    "东水峪村": 950,
}


@pytest.mark.parametrize("row", SHANTING, ids=[row[0] for row in SHANTING])
def test_a_row_of_shanting(row):
    """002:L512-532: units, persons, pension money in 万元 (D-19), medical money in 元."""
    found = next(r for r in load_pack("ST-2020").task_table.rows if r.name == row[0])
    assert (
        found.name,
        found.division,
        found.units,
        found.pension_persons,
        found.pension_amount_wan_yuan,
        found.medical_persons,
        found.medical_amount_yuan,
    ) == row
    assert found.medical_amount_yuan == found.medical_persons * 260


def test_the_totals_of_shanting():
    """002:L534: 280 villages, 128,450, 4,325 万元, 437,854, 113,842,040, stated and summed."""
    table = load_pack("ST-2020").task_table
    sums = task_totals(table)
    assert (sums.rows, sums.units, sums.pension_persons, sums.pension_amount_wan_yuan) == (
        10,
        280,
        128450,
        4325,
    )
    assert (sums.medical_persons, sums.medical_amount_yuan) == (437854, 113842040)
    assert table.total.medical_amount_yuan == 437854 * 260 == 113842040
    assert table.scope == "ALL"


def test_the_third_number_is_no_count_of_new_persons():
    """D-19: as 万元 every town pays 305 to 391 yuan a head, just above the 300 tier."""
    for row in load_pack("ST-2020").task_table.rows:
        assert 300 < row.pension_amount_wan_yuan * 10_000 // row.pension_persons < 391


@pytest.mark.parametrize(("name", "persons"), SHANCHENG.items(), ids=list(SHANCHENG))
def test_a_row_of_shancheng(name, persons):
    """003:L120-301."""
    found = [r.medical_persons for r in load_pack("SC-2025").task_table.rows if r.name == name]
    assert found == [persons]


def test_the_derived_total_of_shancheng():
    """D-20: 46 units, 70,487 persons without the exempt; no total is printed."""
    table = load_pack("SC-2025").task_table
    sums = task_totals(table)
    assert (sums.rows, sums.medical_persons, sums.medical_amount_yuan, sums.pension_persons) == (
        46,
        70487,
        None,
        None,
    )
    assert table.total is None
    assert table.scope == "EXCL_EXEMPT"
    communities = [r.medical_persons for r in table.rows if r.name.endswith("社区")]
    villages = [r.medical_persons for r in table.rows if r.name.endswith("村")]
    assert (len(communities), sum(communities)) == (14, 27570)
    assert (len(villages), sum(villages)) == (32, 42917)
    assert max(table.rows, key=lambda r: r.medical_persons).name == "城市社区"
    assert min(table.rows, key=lambda r: r.medical_persons).name == "段庄村"


def test_derived_amounts_of_shancheng():
    """70,487 persons × 400, 670 and 1,070: reference figures only (D-20)."""
    pack = load_pack("SC-2025")
    persons = task_totals(pack.task_table).medical_persons
    assert persons * pack.standard_fen == 28_194_800 * 100
    assert persons * pack.fiscal_subsidy_fen == 47_226_290 * 100
    assert persons * 1070 == 75_421_090


@pytest.mark.parametrize("pack_id", ["DZ-2018", "DZ-2022", "YC-2023"])
def test_packs_without_a_table(pack_id):
    """D-03: the table of 2018 is missing from the source; 2022 and 2023 have none."""
    assert load_pack(pack_id).task_table is None
    assert task_table_faults(None, 180) == []


def test_a_wrong_amount_is_found():
    """I-02: amount = persons × standard where everyone counts."""
    table = load_pack("ST-2020").task_table
    row = msgspec.structs.replace(table.rows[0], medical_amount_yuan=table.rows[0].medical_amount_yuan + 1)
    faults = task_table_faults(msgspec.structs.replace(table, rows=(row, *table.rows[1:])), 260)
    assert {fault.path for fault in faults} == {
        "task_table.山城街道办",
        "task_table.total.medical_amount_yuan",
    }


def test_a_wrong_total_is_found():
    """I-02: Σ rows = stated total, column by column."""
    table = load_pack("ST-2020").task_table
    total = msgspec.structs.replace(table.total, units=281)
    faults = task_table_faults(msgspec.structs.replace(table, total=total), 260)
    assert [(f.code, f.path) for f in faults] == [("I-02", "task_table.total.units")]
