"""Reconciliation (对账): every fen in one named state, against the books of banks, channels and treasury."""
