"""Accounts (记账): returned money booked once, the lifelong pension account, the return acknowledged."""
