"""Migrations of the HTTP edge's tables in schema ``platform``: line ``web``, forward only."""
