"""Refund verification (退费核验): only registration decides whether money may go back (I-31)."""
