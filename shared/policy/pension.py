"""居民养老保险: tiers, government payment, matching subsidy. Pure."""

from __future__ import annotations

from shared.kernel.identity import Sex, full_years
from shared.kernel.money import ZERO, Fen, yuan
from shared.policy.assessment import Assessment, Leg
from shared.policy.eligibility import check_channel_open
from shared.policy.provisions import FamilyPlanning, Tier
from shared.policy.reckoning import Reckoning, refuse
from shared.policy.terms import Payer


def assess_pension(sheet: Reckoning) -> Assessment:
    """Tier, payer legs and subsidies of a person who may be insured. No late rule: no plan has one."""
    pension = sheet.pack.document.pension
    paid_by_government = bool(sheet.identities.intersection(pension.gov_paid.categories))
    tier = _tier(sheet, paid_by_government)
    amount = yuan(tier.yuan)
    sheet.explain("PENSION_TIER", tier, {"tier_yuan": tier.yuan})
    if pension.provisional is not None and pension.provisional.value:
        sheet.warn("PROVISIONAL")
        sheet.explain("PROVISIONAL", pension.provisional, {})
    legs = _legs(sheet, paid_by_government, amount, tier)
    matching = _matching(sheet, paid_by_government, tier)
    family_planning = _family_planning(sheet, pension.family_planning)
    window = sheet.pack.window("pension")
    if sheet.request.paid_at > max(window.end, sheet.request.extended_to or window.end):
        sheet.warn("OUT_OF_WINDOW")
    if any(leg.payer is Payer.PERSON and leg.fen for leg in legs):
        check_channel_open(sheet)
    return sheet.answer(legs, matching=matching, family_planning=family_planning)


def _tier(sheet: Reckoning, paid_by_government: bool) -> Tier:
    """The chosen tier, or the lowest for whom the government pays. Refuses per I-13 and D-54."""
    pack, request, pension = sheet.pack, sheet.request, sheet.pack.document.pension
    chosen = request.tier_yuan
    if chosen is None:
        if not paid_by_government:
            raise refuse("TIER_NOT_ALLOWED", "TIER_REQUIRED", pension.tiers[0].clause, "tier_yuan")
        chosen = pension.gov_paid.tier_yuan
    tier = pack.tier(chosen)
    if tier is None:
        raise refuse("TIER_NOT_ALLOWED", "TIER_NOT_IN_PACK", pension.tiers[0].clause, "tier_yuan")
    if paid_by_government:
        if chosen != pension.gov_paid.tier_yuan and not sheet.flag("gov_paid_top_up"):
            raise refuse(
                "TIER_NOT_ALLOWED", "GOV_PAID_TOP_UP", f"{pension.gov_paid.clause} D-54", "tier_yuan"
            )
    elif chosen == pension.lowest_tier.tier_yuan and not _may_choose_lowest(sheet):
        raise refuse("TIER_NOT_ALLOWED", "LOWEST_TIER_GROUPS", pension.lowest_tier.clause, "tier_yuan")
    return tier


def _may_choose_lowest(sheet: Reckoning) -> bool:
    lowest = sheet.pack.document.pension.lowest_tier
    if sheet.identities.intersection(lowest.categories):
        sheet.explain("LOWEST_TIER_GROUPS", lowest, {"categories": sorted(sheet.identities)})
        return True
    if not lowest.open_list or not sheet.identities:
        return False
    names = str(sheet.value("lowest_tier_extra") or "").split(",")
    extra = {found.code for name in names if (found := sheet.pack.category(name)) is not None}
    return bool(sheet.identities & extra)


def _legs(sheet: Reckoning, paid_by_government: bool, amount: Fen, tier: Tier) -> tuple[Leg, ...]:
    if not paid_by_government:
        return (Leg(Payer.PERSON, amount, "PENSION_TIER", tier.clause),)
    group = sheet.pack.document.pension.gov_paid
    sheet.explain("GOV_PAID_LOWEST_TIER", group, {"tier_yuan": group.tier_yuan})
    government = min(yuan(group.tier_yuan), amount)
    return (
        Leg(Payer.PERSON, Fen(amount - government), "GOV_PAID_TOP_UP", f"{group.clause} D-54"),
        Leg(group.payer or Payer.FINANCE, government, "GOV_PAID_LOWEST_TIER", group.clause),
    )


def _matching(sheet: Reckoning, paid_by_government: bool, tier: Tier) -> Fen:
    """政府补贴 of the tier (I-26); on a government-paid tier only with gov_paid_matching (D-16)."""
    if paid_by_government and not sheet.flag("gov_paid_matching"):
        sheet.explain("MATCHING_SUBSIDY", sheet.parameter("gov_paid_matching"), {"matching_fen": 0})
        return ZERO
    matching = yuan(tier.matching_yuan)
    sheet.explain("MATCHING_SUBSIDY", tier, {"tier_yuan": tier.yuan, "matching_fen": matching})
    return matching


def _family_planning(sheet: Reckoning, rule: FamilyPlanning | None) -> Fen:
    """计生补贴 of one spouse, by the wife's age (D-15); nothing without proof of it."""
    request = sheet.request
    if not request.family_planning:
        return ZERO
    if rule is None:
        sheet.warn("FAMILY_PLANNING_NOT_IN_PACK")
        return ZERO
    if request.family_planning not in rule.kinds:
        raise refuse("INVALID_REQUEST", "FAMILY_PLANNING_KIND", rule.clause, "family_planning")
    wife = {Sex.FEMALE: request.birth, Sex.MALE: request.spouse_birth, None: None}[request.sex]
    if wife is None:
        sheet.warn("FAMILY_PLANNING_UNPROVEN")
        return ZERO
    age = full_years(wife, rule.wife_age_on)
    granted = yuan(rule.yuan) if age >= rule.wife_age_min else ZERO
    sheet.explain(
        "FAMILY_PLANNING", rule, {"wife_age": age, "on": rule.wife_age_on.isoformat(), "fen": granted}
    )
    return granted
