"""Choosing the policy pack (政策包) that decides for a division and year. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.kernel.division import campaign_id, within
from shared.kernel.errors import Refusal
from shared.policy import Pack


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A campaign collection opened (集中征缴启动), with the pack it binds every service to.

    window_to: end of the legal window; extended_to: set when it was extended. earlier_digests: of the versions
    that revisions replaced (政策调整).
    """

    campaign: str
    division: str
    year: int
    pack_id: str
    pack_version: int
    pack_digest: str
    window_to: dt.date
    extended_to: dt.date | None
    earlier_digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The pack of a person's place and year, and the campaign that uses it.

    earlier: versions a revision replaced; who paid under one keeps its amounts (政策调整).
    """

    campaign: str
    pack: Pack
    extended_to: dt.date | None
    earlier: tuple[Pack, ...] = ()

    @property
    def versions(self) -> tuple[Pack, ...]:
        """Every version the campaign has had, the newest first."""
        return (self.pack, *self.earlier)


@dataclass(frozen=True, slots=True)
class YearPolicies:
    """Everything known of one insured year: campaigns opened, packs held. Answers are kept, as one batch of
    commands asks for few divisions many times."""

    year: int
    campaigns: Sequence[OpenCampaign]
    packs: Sequence[Pack]
    _answers: dict[tuple[str, str], Policy | Refusal] = field(default_factory=dict, compare=False, repr=False)

    def of(self, division: str) -> Policy | Refusal:
        """The policy for a division: the narrowest opened campaign's, else the narrowest pack's own.

        Refuses PACK_MISMATCH when the campaign was opened with a pack this service does not hold, and
        POLICY_UNSPECIFIED when no pack speaks for the division and year.
        """
        return self.of_campaign("", division)

    def of_campaign(self, campaign: str, division: str) -> Policy | Refusal:
        """The policy of a named campaign; by division while its opening has not arrived."""
        known = self._answers.get((campaign, division))
        if known is None:
            known = self._answers[campaign, division] = self._find(campaign, division)
        return known

    def _find(self, campaign: str, division: str) -> Policy | Refusal:
        named = next((item for item in self.campaigns if item.campaign == campaign), None)
        if named is not None:
            return self._bound(named)
        opened = [item for item in self.campaigns if within(division, item.division)]
        if opened:
            return self._bound(max(opened, key=lambda item: len(item.division)))
        held = [
            pack
            for pack in self.packs
            if pack.insured_year == self.year and within(division, pack.region.division)
        ]
        if not held:
            return Refusal("POLICY_UNSPECIFIED", rule="NO_PACK_FOR_DIVISION_AND_YEAR", field="year")
        pack = max(held, key=lambda item: (len(item.region.division), item.id, item.version))
        return Policy(campaign_id(pack.region.division, self.year), pack, None)

    def _bound(self, campaign: OpenCampaign) -> Policy | Refusal:
        named = [pack for pack in self.packs if pack.id == campaign.pack_id]
        pack = next((pack for pack in named if pack.digest == campaign.pack_digest), None)
        if pack is None:
            return Refusal(
                "PACK_MISMATCH",
                rule="PACK_DIGEST_DIFFERS" if named else "PACK_UNKNOWN",
                message="政策包与征缴工作所用不同 / another pack than the campaign's",
            )
        held = {item.digest: item for item in named}
        earlier = tuple(held[digest] for digest in reversed(campaign.earlier_digests) if digest in held)
        return Policy(campaign.campaign, pack, campaign.extended_to, earlier)
