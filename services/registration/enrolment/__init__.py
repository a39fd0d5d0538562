"""Enrolment (参保登记): who is insured for what and when, transmitted to collection."""
