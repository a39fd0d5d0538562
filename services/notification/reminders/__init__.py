"""Reminders (提醒) to payers."""
