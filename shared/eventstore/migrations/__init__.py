"""The one forward-only migration line of schema ``platform``; see ``migrate.py``."""
