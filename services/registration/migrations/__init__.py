"""Alembic's line of registration's read models."""
