"""Migrations of the read models (Alembic), forward only."""
