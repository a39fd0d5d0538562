"""Campaigns (征缴工作): policy packs put in force, windows, phases and targets of one county or town and year."""
