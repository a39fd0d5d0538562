"""Notification (公示、提醒、通报、监督): notices with objections, progress, reminders, supervision."""
