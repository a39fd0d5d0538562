"""Taxpayers (自然人信息采集、参保登记信息关联): whom registration transmitted."""
