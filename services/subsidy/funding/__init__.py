"""Funding (资助资金): applied for, appropriated, transferred, submitted as government payments; refund approvals."""
