"""Who calls (tokens, principals) and what stays secret (keys, sealed fields, the private table).

What it is not: authorisation rules of a capability (they live in its ``api.py``) or a user directory.
"""
