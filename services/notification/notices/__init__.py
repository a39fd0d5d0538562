"""Notices (公示): of rosters and of payments, with objections; they close when the days have run."""
