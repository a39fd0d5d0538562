"""Wiring of the policy layer."""

from __future__ import annotations

from services.registration.policies.projection import CampaignsProjection
from shared.web.capability import Capability


def capability() -> Capability:
    """Only a read model: packs are data of ``shared.policy``."""
    return Capability(projections=(CampaignsProjection(),))
