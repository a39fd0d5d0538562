"""The event log of one service: append with expected versions, tail in commit order, read models.

What it is not: a message broker (``shared.messaging``), a place for personal data
(``shared.security``), or an archive other services read.
"""
