"""Deciding fund accounts, what arrives on them, and a village's signed reconciliation. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.collection.fund_accounts import events as f
from services.collection.obligations.facts import CampaignFact, campaign_refusal
from services.collection.parts import in_parts
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

INCOME = "INCOME"
FISCAL = "FISCAL"
AGENT = "AGENT"
CHANNEL = "CHANNEL"
GOVERNMENT = "GOVERNMENT"
VILLAGE = "VILLAGE"


@dataclass(frozen=True, slots=True)
class Accounts:
    """State of ``fund-account:{campaign}:{insurance}``: account reference by kind."""

    refs: Mapping[str, str] = field(default_factory=dict)


def evolve_accounts(state: Accounts, event: Event) -> Accounts:
    """Fold one event."""
    if isinstance(event, f.FundAccountOpened):
        return Accounts({**state.refs, event.kind: event.account_ref})
    return state


def fund_refusal(campaign: CampaignFact | None) -> Refusal | None:
    """Why a campaign has no fund accounts: it does not exist, or its plan pays into the treasury."""
    refusal = campaign_refusal(campaign)
    if refusal is not None or campaign is None or campaign.pack is None:
        return refusal or Refusal("NO_CAMPAIGN", field="campaign")
    if not campaign.pack.pays_into_fund_accounts:
        return Refusal(
            "STEP_NOT_IN_PLAN", rule="FUND_ACCOUNTS", field="campaign",
            message="本方案费款入国库，不设基金收入账户 / this plan pays into the treasury",
        )  # fmt: skip
    return None


def open_account(
    states: Mapping[Insurance, Accounts],
    campaign: CampaignFact | None,
    insurance: Insurance,
    kind: str,
    account_ref: str,
    bank: str,
) -> Decision:
    """开设基金账户: one of a kind per insurance, and never one account for both insurances (分别存入)."""
    refusal = fund_refusal(campaign)
    if refusal is not None or campaign is None:
        return refusal or Refusal("NO_CAMPAIGN", field="campaign")
    known = states[insurance].refs.get(kind)
    if known == account_ref:
        return []
    if known is not None:
        return Refusal("ALREADY_EXISTS", rule="ONE_ACCOUNT_PER_KIND", field="kind")
    if any(account_ref in state.refs.values() for state in states.values()):
        return Refusal(
            "ACCOUNT_SHARED", rule="SEPARATE_ACCOUNTS", clause="000:L151-155", field="account_ref",
            message="养老、医疗资金须分户存放 / pension and medical money need accounts of their own",
        )  # fmt: skip
    return [
        f.FundAccountOpened(
            account_ref=account_ref, campaign=campaign.campaign, insurance=insurance, kind=kind, bank=bank
        )
    ]


@dataclass(frozen=True, slots=True)
class Arrival:
    """Command: a part of a settled day lies in the fund income account. lines: at most 500."""

    deposit_no: str
    campaign: str
    village: str
    source: str
    kind: str
    insurance: Insurance
    year: int
    date: dt.date
    lines: tuple[f.FundLine, ...]


def record_arrival(known: bool, arrival: Arrival, account_ref: str) -> list[Event]:
    """存入基金收入账户, once per part."""
    if known or not arrival.lines:
        return []
    return [
        f.FundAccountDeposited(
            deposit_no=arrival.deposit_no,
            campaign=arrival.campaign,
            village=arrival.village,
            source=arrival.source,
            kind=arrival.kind,
            account_ref=account_ref,
            insurance=arrival.insurance,
            year=arrival.year,
            date=arrival.date,
            count=len(arrival.lines),
            fen=sum(line.fen for line in arrival.lines),
            lines=arrival.lines,
        )
    ]


@dataclass(frozen=True, slots=True)
class ArrivedLine:
    """A deposited line that was not signed for yet; effective: it belongs on a document."""

    insurance: Insurance
    line: f.DocumentLine
    effective: bool
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class VillageBooks:
    """What the station sees of a village: deposited lines, cash not deposited yet (fen), open discrepancies."""

    arrived: Sequence[ArrivedLine] = ()
    in_hand_fen: int = 0
    discrepancies: int = 0


@dataclass(frozen=True, slots=True)
class SignVillage:
    """Command: sign the reconciliation with what the village brings."""

    campaign: str
    village: str
    signature_no: int
    year: int
    actor: str
    station: str
    slips: tuple[str, ...]
    receipts_from: str
    receipts_to: str
    receipts: int
    totals: tuple[f.InsuranceTotal, ...]


@dataclass(frozen=True, slots=True)
class VillageAccount:
    """State of ``village-account:{campaign}:{village}``. confirmed: signatures whose documents all are."""

    signatures: int = 0
    documents: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    confirmed: frozenset[int] = frozenset()


def evolve_village(state: VillageAccount, event: Event) -> VillageAccount:
    """Fold one event."""
    match event:
        case f.VillageReconciliationSigned():
            documents = {**state.documents, event.signature_no: event.documents}
            return replace(state, signatures=event.signature_no, documents=documents)
        case f.VillagePaymentsConfirmed():
            return replace(state, confirmed=state.confirmed | {event.signature_no})
        case _:
            return state


def village_document_no(campaign: str, village: str, insurance: Insurance, signature_no: int) -> str:
    """``PD-{village}-{campaign}-{insurance}-{n}``: derived, so that reruns give equal numbers."""
    return f"PD-{village}-{campaign}-{insurance.value}-{signature_no}"


def sibling_documents(document_no: str) -> tuple[str, ...]:
    """Numbers of the documents one signature may have drawn; empty for a channel's or finance's document."""
    head, _, rest = document_no.partition("-")
    village, _, tail = rest.partition("-")
    if head != "PD" or not (len(village) == 12 and village.isdigit()):
        return ()
    campaign, _, ending = tail.rpartition("-")[0].rpartition("-")
    number = tail.rpartition("-")[2]
    if ending not in list(Insurance):
        return ()
    return tuple(village_document_no(campaign, village, insurance, int(number)) for insurance in Insurance)


@dataclass(frozen=True, slots=True)
class Signed:
    """A decided signature: the village's own event and the documents drawn with it."""

    village: Event
    documents: Mapping[Insurance, list[Event]]


def sign_village(state: VillageAccount, command: SignVillage, books: VillageBooks) -> Signed | Refusal:
    """对账签字: all cash deposited, no open difference, vouchers and stubs = what arrived (000:L155-159)."""
    if state.signatures != command.signature_no - 1:
        return Refusal("CONCURRENT_CHANGE", rule="SIGNED_MEANWHILE", field="village")
    if books.in_hand_fen:
        return Refusal(
            "INVALID_STATE", rule="CASH_IN_HAND", clause="000:L151-159", field="village",
            message="尚有现金未存入基金收入账户 / cash is not deposited yet",
        )  # fmt: skip
    if books.discrepancies:
        return Refusal("INVALID_STATE", rule="DISCREPANCY_OPEN", clause="I-20", field="village")
    if not books.arrived:
        return Refusal("INVALID_STATE", rule="NOTHING_ARRIVED", clause="I-15", field="village")
    totals = totals_of((each.insurance, each.line.fen) for each in books.arrived)
    if len(command.totals) != len(totals) or set(command.totals) != set(totals):
        return Refusal(
            "TOTALS_MISMATCH", rule="VOUCHERS_DIFFER", clause="I-20", field="totals",
            message="银行凭证与到账不符 / the bank vouchers differ from what arrived",
        )  # fmt: skip
    stubs = {each.receipt for each in books.arrived if each.receipt}
    if command.receipts != len(stubs):
        return Refusal(
            "TOTALS_MISMATCH", rule="STUBS_DIFFER", clause="I-19", field="receipts",
            message="收据底联份数不符 / the number of receipt stubs differs",
        )  # fmt: skip
    documents: dict[Insurance, list[Event]] = {}
    for insurance in Insurance:
        lines = [each.line for each in books.arrived if each.insurance is insurance and each.effective]
        if lines:
            draft = Draft(
                village_document_no(command.campaign, command.village, insurance, command.signature_no),
                command.campaign,
                command.village,
                insurance,
                command.year,
                VILLAGE,
                str(command.signature_no),
                command.station,
            )
            documents[insurance] = draw(draft, lines)
    signed = f.VillageReconciliationSigned(
        campaign=command.campaign,
        village=command.village,
        signature_no=command.signature_no,
        actor=command.actor,
        station=command.station,
        slips=command.slips,
        receipts_from=command.receipts_from,
        receipts_to=command.receipts_to,
        receipts=command.receipts,
        totals=tuple(totals),
        documents=tuple(
            village_document_no(command.campaign, command.village, insurance, command.signature_no)
            for insurance in documents
        ),
        to_return=tuple(each.line.line_id for each in books.arrived if not each.effective),
    )
    return Signed(signed, documents)


def totals_of(lines: Iterable[tuple[Insurance, int]]) -> list[f.InsuranceTotal]:
    """(insurance, fen) pairs added up, insurances without lines left out."""
    sums: dict[Insurance, tuple[int, int]] = {}
    for insurance, fen in lines:
        count, total = sums.get(insurance, (0, 0))
        sums[insurance] = (count + 1, total + fen)
    return [f.InsuranceTotal(insurance, *sums[insurance]) for insurance in Insurance if insurance in sums]


@dataclass(frozen=True, slots=True)
class Draft:
    """Head of a document about to be drawn."""

    document_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    origin: str
    station: str


def draw(draft: Draft, lines: Sequence[f.DocumentLine]) -> list[Event]:
    """缴费单据: line events, numbered from 1, then the header."""
    numbered = [_numbered(line, number) for number, line in enumerate(lines, 1)]
    parts = in_parts(numbered)
    found: list[Event] = [
        f.PaymentDocumentLines(
            document_no=draft.document_no,
            campaign=draft.campaign,
            insurance=draft.insurance,
            year=draft.year,
            source=draft.source,
            part=number,
            parts=len(parts),
            lines=part,
        )
        for number, part in enumerate(parts, 1)
    ]
    found.append(
        f.PaymentDocumentDrawn(
            document_no=draft.document_no,
            campaign=draft.campaign,
            village=draft.village,
            insurance=draft.insurance,
            year=draft.year,
            source=draft.source,
            origin=draft.origin,
            station=draft.station,
            count=len(numbered),
            fen=sum(line.fen for line in numbered),
        )
    )
    return found


def _numbered(line: f.DocumentLine, number: int) -> f.DocumentLine:
    return f.DocumentLine(
        number, line.line_id, line.person_id, line.village, line.payer, line.fen, line.standard_fen,
        line.paid_at, line.tier_yuan, line.special_assessment_no,
    )  # fmt: skip
