"""The rehearsal of the 2018 flow, pure parts."""

from __future__ import annotations

from deploy.rehearsal.fund_closing import receipt_no


def test_receipt_numbers_fit_the_form_and_stay_the_same_for_a_document() -> None:
    """A department's later payment has a document number of 65 characters and more."""
    number = "PD-GOV-GP-370406101-2018-DISABLED_FEDERATION-pension-2-pension-p1"
    assert len(receipt_no(number)) <= 64
    assert receipt_no(number) == receipt_no(number)
    assert receipt_no(number) != receipt_no(number.replace("-p1", "-p2"))
