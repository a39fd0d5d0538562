"""What a payer owes online, where the pack makes it differ from the roster's amount. Pure.

YC-2023: online the age on the day of payment decides, so whoever turns 60 or 70 later in the year pays more
before the birthday (004:L203-207, D-43). DZ-2018: online forfeits the relief (000:L129-131). The assessment in
force stays what agents, counters and lists collect; the payment brings its own version of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from services.collection.obligations import events as e
from services.collection.obligations.domain import Assessment, Obligation
from services.collection.obligations.facts import CampaignFact
from services.collection.payments.orders import Order, OrderLine
from shared import policy
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance, Leg, Payer
from shared.policy.pack import Pack
from shared.policy.terms import AgeMode, ChannelKind

PAID_ONLINE = "PAID_ONLINE"
"""Reason of the version a payment online brought with it."""


@dataclass(frozen=True, slots=True)
class OnlineTerms:
    """The assessment an online payment is held to. rule and clause: why it differs."""

    assessment: Assessment
    event: Event
    rule: str
    clause: str

    def kept(self, order: Order, line: OrderLine) -> Event:
        """Tells subsidy that the relief it may have resolved was not used."""
        return e.PaidTermsKept(
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            campaign=self.assessment.campaign,
            standard_fen=self.assessment.standard_fen,
            legs=self.assessment.legs,
            reason=PAID_ONLINE,
            paid_on=order.paid_on,
        )


def online_terms(
    order: Order, line: OrderLine, state: Obligation, campaign: CampaignFact, pack: Pack
) -> OnlineTerms | None:
    """The payer's own amount online on the day; None where the amount assessed holds.

    A leg that government has paid already keeps its amount: it cannot be forfeited any more.
    """
    assessment = state.assessment
    if assessment is None or assessment.personal_fen >= assessment.standard_fen:
        return None  # nothing is relieved
    if assessment.special_assessment_no or state.vouchered_legs or not _asks_channel(order, line, pack):
        return None
    quote = policy.assess(
        pack,
        policy.AssessmentRequest(
            insurance=policy.Insurance.MEDICAL,
            birth=assessment.birth,
            paid_at=order.paid_on,
            channel=order.channel,
            categories=(assessment.category,) if assessment.category else (),
            extended_to=campaign.extended_to,
        ),
    )
    if quote.refusal is not None or quote.late or int(quote.personal_fen) <= assessment.personal_fen:
        return None
    rule, clause = _why(pack, quote)
    return _terms(line, assessment, pack, quote, rule, clause)


def _asks_channel(order: Order, line: OrderLine, pack: Pack) -> bool:
    """True when the pack says something else for paying online, and this order does."""
    if order.agent_id or line.insurance is not Insurance.MEDICAL:
        return False
    channel = pack.channel(order.channel)
    if channel is None or ChannelKind.ONLINE not in channel.kinds:
        return False
    forfeits = pack.document.medical.online_forfeits_relief
    by_day = pack.age_reference(ChannelKind.ONLINE).mode is AgeMode.PAYMENT_DATE
    return by_day or (forfeits is not None and forfeits.value)


def _why(pack: Pack, quote: policy.Assessment) -> tuple[str, str]:
    for found in quote.explanation:
        if found.rule in ("RELIEF_FORFEITED_ONLINE", "BIRTHDAY_HOLD"):
            return found.rule, found.clause
    return "AGE_ON_PAYMENT_DATE", pack.age_reference(ChannelKind.ONLINE).clause


def _terms(
    line: OrderLine, before: Assessment, pack: Pack, quote: policy.Assessment, rule: str, clause: str
) -> OnlineTerms:
    version = before.version + 1
    legs = tuple(Leg(Payer(leg.payer.value), int(leg.fen)) for leg in quote.legs)
    after = replace(
        before,
        assessment_id=f"{line.year}-{line.insurance.value}-{line.person_id}-{version}",
        version=version,
        standard_fen=int(quote.standard_fen),
        legs=legs,
        pack_id=pack.id,
        pack_version=pack.version,
    )
    event = e.ContributionReassessed(
        assessment_id=after.assessment_id,
        version=version,
        person_id=line.person_id,
        insurance=line.insurance,
        year=line.year,
        campaign=after.campaign,
        village=after.village,
        birth=after.birth,
        standard_fen=after.standard_fen,
        legs=legs,
        category=after.category,
        pack_id=pack.id,
        pack_version=pack.version,
        pack_digest=pack.digest,
        rules=tuple(dict.fromkeys(found.rule for found in quote.explanation)),
        reason=PAID_ONLINE,
    )
    return OnlineTerms(after, event, rule, clause)
