"""Campaigns (征缴工作): packs in force, windows, phases and targets of one place and year."""
