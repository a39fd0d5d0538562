"""Audits a running system from outside the sums of its services."""
