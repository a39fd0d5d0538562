"""Wiring of refund verification."""

from __future__ import annotations

from services.registration.refund_verification.consumer import VerifyRefunds
from services.registration.refund_verification.handlers import RefundVerifications
from services.registration.refund_verification.publication import RefundVerificationPublication
from services.registration.sources import Covers, Residents
from shared.web.capability import Capability


def capability(residents: Residents, covers: Covers) -> Capability:
    """Everything ``app.py`` needs of refund verification."""
    return Capability(
        reactions=(VerifyRefunds(RefundVerifications(residents, covers)),),
        publications=(RefundVerificationPublication(),),
    )
