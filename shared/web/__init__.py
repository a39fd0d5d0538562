"""The HTTP edge every service shares: one app factory, tokens, problems, idempotency, positions, imports.

What it is not: rules of a capability, or a client of anything.
"""
