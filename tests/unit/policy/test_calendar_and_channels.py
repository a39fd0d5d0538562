"""What services ask a pack: days, channels, receipts, names."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.kernel.money import yuan
from shared.policy import load_pack

PACKS = ("DZ-2018", "ST-2020", "DZ-2022", "YC-2023", "SC-2025")
day = dt.date.fromisoformat


def test_a_gap_is_no_phase():
    """D-25: 11-21..11-25 of ST-2020; and days outside the campaign."""
    pack = load_pack("ST-2020")
    assert pack.phase_on(day("2019-11-21")) is None
    assert pack.phase_on(day("2019-11-25")) is None
    assert pack.phase_on(day("2019-11-26")) is not None
    assert pack.phase_on(day("2019-09-30")) is None


@pytest.mark.parametrize(
    ("pack_id", "insurance", "channel", "first", "last", "clause"),
    [
        ("DZ-2018", "medical", "HR_WEBSITE", "2017-10-01", "2017-12-31", "D-47"),
        ("DZ-2018", "medical", "CASH_AGENT", "2017-11-07", "2017-12-10", "D-24"),
        ("DZ-2018", "pension", "SERVICE_COUNTER", "2017-10-01", "2017-12-31", "D-24"),
        ("ST-2020", "medical", "WECHAT", "2019-10-01", "2019-12-20", "D-25"),
        ("ST-2020", "pension", "CASH_AGENT", "2019-10-26", "2019-11-20", "D-25"),
        ("DZ-2022", "medical", "ALIPAY", "2021-11-01", "2021-12-20", "D-26"),
        ("DZ-2022", "medical", "YUNONGTONG", "2021-11-29", "2021-12-20", "D-26"),
        ("YC-2023", "medical", "ETAX", "2022-10-01", "2022-12-20", "D-47"),
        ("YC-2023", "medical", "POS", "2022-10-21", "2022-12-20", "D-47"),
        ("SC-2025", "medical", "AISHANDONG", "2024-09-01", "2024-12-31", "D-13"),
        ("SC-2025", "pension", "AISHANDONG", "2024-10-11", "2024-12-31", "D-13"),
        ("SC-2025", "medical", "裕农通", "2024-10-11", "2024-12-31", "D-47"),
    ],
)
def test_a_channel_is_open_from_first_to_last_day(pack_id, insurance, channel, first, last, clause):
    """Self-service in the window, agents in the collection phase."""
    pack = load_pack(pack_id)
    one = dt.timedelta(days=1)
    assert pack.channel_allowed(insurance, channel, day(first)), clause
    assert pack.channel_allowed(insurance, channel, day(last))
    assert not pack.channel_allowed(insurance, channel, day(first) - one)
    assert not pack.channel_allowed(insurance, channel, day(last) + one)


def test_a_channel_used_by_agents_and_payers():
    """001:L70, 001:L96: 银联二维码; agents from 11-29, payers from 11-01."""
    pack = load_pack("DZ-2022")
    assert not pack.is_agent_channel("UNIONPAY_QR")
    assert pack.channel_allowed("medical", "UNIONPAY_QR", day("2021-11-05"))
    assert not pack.channel_allowed("medical", "UNIONPAY_QR", day("2021-11-05"), by_agent=True)
    assert pack.channel_allowed("medical", "UNIONPAY_QR", day("2021-11-29"), by_agent=True)
    assert not pack.channel_allowed("medical", "WECHAT", day("2021-11-29"), by_agent=True)


def test_an_extension_moves_self_service_and_agents_whose_phase_ended_with_it():
    """CampaignWindowExtended: ST-2020's agents stay at 11-20, SC-2025's move along."""
    first = load_pack("ST-2020")
    assert first.channel_allowed("medical", "WECHAT", day("2020-01-10"), extended_to=day("2020-01-15"))
    assert not first.channel_allowed(
        "medical", "CASH_AGENT", day("2019-11-21"), extended_to=day("2020-01-15")
    )
    last = load_pack("SC-2025")
    assert last.channel_allowed("medical", "YUNONGTONG", day("2025-01-15"), extended_to=day("2025-01-15"))
    assert not last.channel_allowed("medical", "YUNONGTONG", day("2025-01-16"), extended_to=day("2025-01-15"))


def test_a_channel_the_pack_has_not():
    """Never allowed, no agent's, no receipt."""
    pack = load_pack("ST-2020")
    assert not pack.channel_allowed("medical", "YUNONGTONG", day("2019-11-05"))
    assert not pack.is_agent_channel("YUNONGTONG")
    assert not pack.receipt_required("YUNONGTONG")
    assert pack.channel("PIGEON") is None


@pytest.mark.parametrize(
    ("pack_id", "agents", "receipts", "clause"),
    [
        ("DZ-2018", {"CASH_AGENT"}, {"CASH_AGENT"}, "000:L143"),
        ("ST-2020", {"CASH_AGENT"}, {"CASH_AGENT"}, "002:L155"),
        ("DZ-2022", {"CASH_AGENT", "POS", "YUNONGTONG"}, {"CASH_AGENT", "YUNONGTONG"}, "001:L96 D-41"),
        ("YC-2023", {"CASH_AGENT", "POS"}, {"CASH_AGENT"}, "004:L199-201"),
        ("SC-2025", {"POS", "YUNONGTONG"}, set(), "003:L36"),
    ],
)
def test_agent_channels_and_receipts(pack_id, agents, receipts, clause):
    """I-19: all agents' takings in 2018 and 2020, those without POS in 2022 and 2023."""
    pack = load_pack(pack_id)
    channels = [channel.code for channel in pack.document.channels]
    assert {code for code in channels if pack.is_agent_channel(code)} == agents, clause
    assert {code for code in channels if pack.receipt_required(code)} == receipts


@pytest.mark.parametrize("pack_id", PACKS)
def test_categories_by_code_term_and_alias(pack_id):
    """All names of a category find it; an unknown name finds nothing."""
    pack = load_pack(pack_id)
    for category in pack.document.categories:
        for name in (
            category.code,
            category.term,
            category.code.lower().replace("_", "-"),
            *category.aliases,
        ):
            assert pack.category(name).code == category.code
    assert pack.category("贵宾") is None


def test_five_guarantee_is_destitute_but_not_the_reverse():
    """D-30."""
    pack = load_pack("DZ-2018")
    assert pack.identities("FIVE_GUARANTEE") == {"FIVE_GUARANTEE", "DESTITUTE"}
    assert pack.identities("DESTITUTE") == {"DESTITUTE"}


def test_departments_by_name():
    """Both names of the health post of 2025 are one department (D-36)."""
    pack = load_pack("SC-2025")
    assert pack.department("卫健岗").code == pack.department("卫计岗").code == "HEALTH"
    assert load_pack("ST-2020").department("区卫健局").supplies == ("ELDERLY_60_69", "ELDERLY_70_PLUS")


def test_places():
    """店子镇 has 17 villages, 28,126 and 11,300 payers; elsewhere the size is synthetic (D-56)."""
    found = load_pack("ST-2020").place("店子镇")
    assert (found.division, found.villages, found.medical_persons, found.pension_persons) == (
        "370406101",
        17,
        28126,
        11300,
    )
    assert found.reading == "printed"
    assert load_pack("ST-2020").place("370406101") == found
    assert load_pack("ST-2020").place("nowhere") is None
    assert [p.reading.value for p in load_pack("YC-2023").document.places] == ["inferred"] * 7


def test_small_questions():
    """Tiers, standard, subsidy of a tier the pack has not."""
    pack = load_pack("SC-2025")
    assert pack.tiers == (100, 350, 500, 800, 1000, 3000, 5000, 8000)
    assert pack.standard_fen == yuan(400)
    assert pack.tier(300) is None
    with pytest.raises(KeyError):
        pack.matching_subsidy(300)
    with pytest.raises(KeyError):
        pack.window("dental")
