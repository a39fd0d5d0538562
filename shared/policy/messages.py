"""Texts of refusals and warnings, by rule: Chinese first, English second. No personal data."""

from __future__ import annotations

REFUSALS: dict[str, str] = {
    "AGE_OVER_MAX": "已超过{age}周岁 / older than {age}",
    "AGE_UNDER_16": "未满{age}周岁 / younger than {age}",
    "AID_INVALID": "资助信息不合要求 / invalid aid",
    "BEFORE_WINDOW": "集中征缴期尚未开始 / the window has not opened",
    "BIRTH_AFTER_PAYMENT": "出生日期晚于缴费日期 / born after the payment",
    "CATEGORY_UNKNOWN": "政策包没有这个类别 / the pack knows no such category",
    "CHANNEL_NOT_NAMED": "方案未列此险种的这个缴费渠道 / the plan names no such channel for this insurance",
    "CHANNEL_NOT_OPEN": "代办员代收不在集中缴费阶段内 / agents collect in the collection phase only",
    "EMPLOYEE_INSURED": "已参加职工保险 / covered by employee insurance",
    "FAMILY_PLANNING_KIND": "计生家庭类别不合要求 / unknown kind of family planning",
    "GOV_PAID_TOP_UP": "政府代缴人员按最低档次 / the government pays the lowest tier only",
    "HUKOU": "不属于本方案参保范围 / outside the plan's scope",
    "LOWEST_TIER_GROUPS": "该档次只适用于缴费困难群体 / this tier is for hardship groups only",
    "PAID_ELSEWHERE": "已在统筹区外参保缴费 / already paid elsewhere",
    "PARAMETER_INVALID": "参数 {name} 的值不合要求 / the value does not fit the parameter",
    "PARAMETER_MISSING": "政策包缺少参数 {name} / the pack lacks the parameter",
    "PARAMETER_UNKNOWN": "政策包没有这个参数 / the pack knows no such parameter",
    "SPONSOR_AID_UNSPECIFIED": "方案未规定集体或个人资助 / the plan is silent on aid",
    "STUDENT": "在校学生不参加居民养老保险 / students are excluded",
    "TIER_NOT_IN_PACK": "方案没有这个档次 / no such tier",
    "TIER_REQUIRED": "须选择缴费档次 / choose a tier",
    "UNSPECIFIED": "方案未载明，请设参数 {name} 并注明来源 / not in the plan: set {name} with its source",
    "WAIT_BEYOND_YEAR": "等待期满已过参保年度 / the wait ends after the insured year: it buys no cover",
    "YEAR_OVER": "参保年度已结束 / the insured year is over",
}

WARNINGS: dict[str, str] = {
    "BIRTHDAY_HOLD": "年底前将满{age}周岁，请待满周岁后再网上缴费 / pay online from the {age}th birthday",
    "CATEGORY_WITHOUT_RELIEF": "方案未给此类别医保减免 / the plan gives this category no medical relief",
    "FAMILY_PLANNING_NOT_IN_PACK": "方案没有计生家庭缴费补贴 / the plan has no such subsidy",
    "FAMILY_PLANNING_UNPROVEN": "缺性别或女方出生日期 / sex or the wife's birth date is missing",
    "FIXED_AID_SPLIT_UNKNOWN": "定额资助金额未载明，政府部分合并列示 / fixed aid unknown: one government leg",
    "OUT_OF_WINDOW": "集中征缴期已过，逾期规定不适用 / after the window, no late rule applies",
    "PAID_ELSEWHERE_UNSPECIFIED": "方案未规定统筹区外已参保的处理 / the plan is silent on cover elsewhere",
    "PARAMETER_WITHOUT_SOURCE": "参数 {name} 未注明来源 / {name} is set without a source (value@source)",
    "PROVISIONAL": "缴费档次为暂行标准，以通知为准 / tiers are provisional",
    "RELIEF_FORFEITED_ONLINE": "网上缴费不享受减免 / paying online forfeits the relief",
}
