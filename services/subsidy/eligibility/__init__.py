"""Eligibility (资助资格): one full-subsidy payer per person, insurance and year (I-11)."""
