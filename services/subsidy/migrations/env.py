"""Alembic environment: runs on the connection the service hands over."""

from __future__ import annotations

from alembic import context

from shared.web.migrating import upgrade_in

upgrade_in(context)
