"""Loading, checking, comparing and revising packs."""

from __future__ import annotations

import datetime as dt
from importlib import resources

import msgspec
import pytest
import yaml

from shared.policy import PackInvalidError, check_pack, diff_packs, load_file, load_pack, load_packs, revise
from shared.policy.loading import parse
from shared.policy.model import PackDocument
from shared.policy.pack import Pack

PACKS = ("DZ-2018", "ST-2020", "DZ-2022", "YC-2023", "SC-2025")


def text_of(pack_id: str) -> str:
    return resources.files("shared.policy").joinpath(f"packs/{pack_id}.yaml").read_text(encoding="utf-8")


def changed(pack_id: str, **parts) -> Pack:
    return Pack(msgspec.structs.replace(load_pack(pack_id).document, **parts))


def medical(pack_id: str, **parts) -> Pack:
    return changed(pack_id, medical=msgspec.structs.replace(load_pack(pack_id).document.medical, **parts))


def codes(pack: Pack) -> set[tuple[str, str]]:
    return {(fault.code, fault.path) for fault in check_pack(pack)}


def test_the_five_packs_in_order():
    """Oldest insured year first."""
    assert tuple(load_packs()) == PACKS


@pytest.mark.parametrize("pack_id", PACKS)
def test_a_shipped_pack_is_sound(pack_id):
    """I-01, I-02, clauses, names, parameters."""
    assert check_pack(load_pack(pack_id)) == []


@pytest.mark.parametrize("name", ["XX-2020", "../secret", "st-2020", ""])
def test_an_unknown_pack(name):
    """KeyError, and no path is followed."""
    with pytest.raises(KeyError):
        load_pack(name)


def test_anyones_file_is_a_pack(tmp_path):
    """D-59: a county's own plan is data; the same content has the same digest."""
    path = tmp_path / "plan.yaml"
    path.write_text("# another layout\n" + text_of("ST-2020"), encoding="utf-8")
    assert load_file(path).digest == load_pack("ST-2020").digest
    path.write_text(text_of("ST-2020").replace("value: 260", "value: 261"), encoding="utf-8")
    assert load_file(path).digest != load_pack("ST-2020").digest


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ("insured_year: 2020", "insured_year: 2020\ncolour: red", "colour"),
        ("insured_year: 2020", 'insured_year: "2020"', "insured_year"),
        ("insured_year: 2020", "insured_year: 2020\ninsured_year: 2021", "twice"),
        ("kind: COLLECTION", "kind: HARVEST", "phases"),
        ("kind: COLLECTION", "kind: NOTICE", "COLLECTION"),
        ("value: 260", "value: 260.0", "medical.personal.value"),
        ("id: ST-2020", "id: [ST-2020", "expected"),
    ],
)
def test_a_file_that_is_no_pack_is_refused_with_the_field(before, after, part):
    """Strict types, unknown and repeated keys refused."""
    text = text_of("ST-2020")
    assert before in text
    with pytest.raises(PackInvalidError, match=part):
        parse(text.replace(before, after, 1))


def test_only_safe_yaml():
    """No object is ever built from a file."""
    with pytest.raises(PackInvalidError):
        parse("!!python/object/apply:os.getcwd []")


@pytest.mark.parametrize("pack_id", PACKS)
def test_the_file_is_the_typed_document(pack_id):
    """What was loaded converts back to itself: nothing was dropped on the way."""
    document = load_pack(pack_id).document
    again = msgspec.convert(msgspec.json.decode(msgspec.json.encode(document)), PackDocument)
    assert Pack(again).digest == load_pack(pack_id).digest
    assert yaml.safe_load(text_of(pack_id))["id"] == pack_id


@pytest.mark.parametrize("pack_id", PACKS)
def test_readings_answer_what_is_marked(pack_id):
    """Each D-nn a value names has a reading in the pack; so have those that concern every plan."""
    document = load_pack(pack_id).document
    marked = {
        value for path, value in _leaves(msgspec.to_builtins(document)) if path == "discrepancy" and value
    }
    answered = {reading.id for reading in document.readings}
    assert marked - answered == set()
    assert len(marked) > 12
    assert answered >= {
        "D-04",
        "D-16",
        "D-34",
        "D-39",
        "D-44",
        "D-45",
        "D-46",
        "D-49",
        "D-50",
        "D-51",
        "D-52",
        "D-54",
        "D-59",
    }


def _leaves(value, key=""):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, key)
    else:
        yield key, value


def test_the_whole_register_is_read():
    """D-01 to D-59: each has a reading in at least one pack."""
    answered = {reading.id for pack in load_packs().values() for reading in pack.document.readings}
    assert answered == {f"D-{number:02d}" for number in range(1, 60)}


@pytest.mark.parametrize("pack_id", PACKS)
def test_unspecified_parameters_name_their_rule(pack_id):
    """A value the plan does not give is null and refuses by a rule, never a silent default."""
    unset = {p.name: p.rule for p in load_pack(pack_id).document.parameters if p.value is None}
    assert unset["late_relief"] == "LATE_RELIEF_UNSPECIFIED"
    assert ("medical_fiscal_subsidy_yuan" in unset) is (pack_id in ("DZ-2018", "ST-2020", "DZ-2022"))
    assert ("fixed_aid_yuan" in unset) is (pack_id == "YC-2023")
    assert ("virtual_household_mode" in unset) is (pack_id in ("YC-2023", "SC-2025"))
    assert all(unset.values())


# -- checks: given a broken pack, when checked, then the fault names the place --------------------


def test_a_total_that_does_not_add_up():
    """I-01: 960 = 350 + 610."""
    personal = msgspec.structs.replace(load_pack("YC-2023").document.medical.personal, value=351)
    assert ("I-01", "medical.total") in codes(medical("YC-2023", personal=personal))


def test_tiers_that_do_not_ascend():
    """I-01."""
    pension = load_pack("SC-2025").document.pension
    broken = msgspec.structs.replace(pension, tiers=(pension.tiers[0], pension.tiers[2], pension.tiers[1]))
    assert ("I-01", "pension.tiers") in codes(changed("SC-2025", pension=broken))
    twice = msgspec.structs.replace(pension, tiers=(pension.tiers[0], pension.tiers[0]))
    assert ("I-01", "pension.tiers") in codes(changed("SC-2025", pension=twice))


def test_a_late_rule_without_its_amount():
    """I-01: full cost needs the fiscal amount; a late rule needs one wait."""
    document = load_pack("ST-2020").document
    fiscal = msgspec.structs.replace(document.medical.fiscal, parameter="")
    assert {("I-01", "medical.late"), ("AMOUNT", "medical.fiscal")} <= codes(
        medical("ST-2020", fiscal=fiscal)
    )
    late = msgspec.structs.replace(document.medical.late, wait_days="")
    assert ("LATE_WAIT", "medical.late") in codes(medical("ST-2020", late=late))


def test_a_parameter_nobody_defined():
    """Named but missing; set but not of its kind; unset without a rule."""
    document = load_pack("ST-2020").document
    late = msgspec.structs.replace(document.medical.late, wait_days="someday")
    assert ("PARAMETER_MISSING", "medical.late.wait_days") in codes(medical("ST-2020", late=late))
    by_name = {p.name: p for p in document.parameters}
    for name, parts, fault in (
        ("gov_paid_effective", {"value": "NEVER"}, "PARAMETER_VALUE"),
        ("late_relief", {"rule": ""}, "PARAMETER_RULE"),
    ):
        changed_one = msgspec.structs.replace(by_name[name], **parts)
        parameters = tuple(changed_one if p.name == name else p for p in document.parameters)
        assert (fault, f"parameters.{name}") in codes(changed("ST-2020", parameters=parameters))


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"person": {"yuan": 20, "percent": 50}}, "I-12"),
        ({"person": {"yuan": 181}}, "I-12"),
        ({"person": {"percent": 101}}, "I-12"),
        ({"person": {"percent": 33}}, "I-12"),
        ({"reading": "inferred"}, "READING"),
        ({"categories": ["NOBODY"]}, "CATEGORY_MISSING"),
        ({"requires_list": ["NOWHERE"]}, "DEPARTMENT_MISSING"),
        ({"born_to": "1946-12-31", "age_from": 70}, "AGE_BAND"),
        ({"clause": "somewhere"}, "CLAUSE"),
        ({"clause": "009:L1"}, "CLAUSE"),
        ({"clause": ""}, "CLAUSE"),
        ({"discrepancy": "later"}, "CLAUSE"),
        ({"categories": []}, "RELIEF"),
    ],
)
def test_a_broken_relief(parts, fault):
    """I-12 and the form of every value."""
    document = msgspec.json.decode(msgspec.json.encode(load_pack("DZ-2018").document))
    document["medical"]["relief"][0] |= parts
    pack = Pack(msgspec.convert(document, PackDocument))
    assert fault in {found.code for found in check_pack(pack)}


def test_dates_and_names_that_do_not_hold():
    """Ids end with the year, cover is the year, agents collect inside the window, names are unique."""
    document = load_pack("ST-2020").document
    assert ("ID", "id") in codes(changed("ST-2020", id="ST-2021"))
    shorter = msgspec.structs.replace(document.medical.entitlement, end=dt.date(2020, 11, 30))
    assert ("DATES", "medical.entitlement") in codes(medical("ST-2020", entitlement=shorter))
    window = msgspec.structs.replace(document.windows.medical, end=dt.date(2019, 11, 1))
    windows = msgspec.structs.replace(document.windows, medical=window)
    assert ("DATES", "phases.COLLECTION") in codes(changed("ST-2020", windows=windows))
    assert ("NAME_TWICE", "flow") in codes(changed("ST-2020", flow=document.flow + document.flow[:1]))
    again = msgspec.structs.replace(document.categories[0], code="OTHER")
    assert ("NAME_AMBIGUOUS", "categories") in codes(
        changed("ST-2020", categories=(*document.categories, again))
    )
    assert ("I-19", "channels.CASH_AGENT") in codes(changed("ST-2020", receipt=None))


def test_a_lowest_tier_that_is_not_the_lowest():
    """I-13."""
    pension = load_pack("ST-2020").document.pension
    group = msgspec.structs.replace(pension.gov_paid, tier_yuan=300)
    pack = changed("ST-2020", pension=msgspec.structs.replace(pension, gov_paid=group))
    assert ("I-13", "pension.gov_paid") in codes(pack)


# -- differences and revisions --------------------------------------------------------------------


def test_a_pack_does_not_differ_from_itself():
    assert diff_packs(load_pack("YC-2023"), load_pack("YC-2023")) == []


def test_differences_name_what_changed():
    """List items by their name, so that one new tier is one group of lines."""
    found = {c.path: (c.before, c.after) for c in diff_packs(load_pack("DZ-2018"), load_pack("DZ-2022"))}
    assert found["medical.personal.value"] == (180, 320)
    assert found["pension.tiers[800].matching_yuan"] == (65, 80)
    assert found["parameters[late_wait_days].clause"] == ("000:L110-112", "001:L60")
    assert "parameters[late_wait_days].value" not in found


def test_a_revision_is_a_new_version_with_its_source():
    """PolicyPackRevised: the parameter, its source, version and digest change, nothing else."""
    first = load_pack("ST-2020")
    second = revise(first, {"fiscal_subsidy": 520}, "EXT:鲁财社〔2019〕1号")
    assert (second.version, second.fiscal_subsidy_fen) == (2, 52000)
    assert first.fiscal_subsidy_fen is None
    assert first.digest != second.digest
    assert {c.path for c in diff_packs(first, second)} == {
        "version",
        "parameters[medical_fiscal_subsidy_yuan].value",
        "parameters[medical_fiscal_subsidy_yuan].clause",
        "parameters[medical_fiscal_subsidy_yuan].reading",
    }
    assert check_pack(second) == []


def test_a_revision_of_nothing_is_refused():
    """An unknown parameter or an unfit value."""
    with pytest.raises(KeyError):
        revise(load_pack("ST-2020"), {"no_such": 1}, "EXT:x")
    with pytest.raises(ValueError, match="medical_fiscal_subsidy_yuan"):
        revise(load_pack("ST-2020"), {"fiscal_subsidy": -1}, "EXT:x")


def test_gov_paid_effective_in_both_readings():
    """D-52: shipped as ON_LIST; ON_ARRIVAL by a revision."""
    pack = load_pack("ST-2020")
    assert pack.gov_paid_effective == "ON_LIST"
    assert revise(pack, {"gov_paid_effective": "ON_ARRIVAL"}, "D-52").gov_paid_effective == "ON_ARRIVAL"


def test_virtual_households_of_2025_wait_for_a_decision():
    """D-42: unspecified until an operator decides, with a source."""
    pack = load_pack("SC-2025")
    assert pack.virtual_household_mode == "UNSPECIFIED"
    assert (
        revise(pack, {"virtual_household_mode": "FALLBACK"}, "EXT:街道通知").virtual_household_mode
        == "FALLBACK"
    )
