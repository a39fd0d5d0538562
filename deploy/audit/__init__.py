"""The auditor: reads the four logs through a read-only role and the outside's books, trusts no service's sum.

Events are decoded here as plain JSON, not through the services' code: a bug there cannot hide itself here.
"""
