"""Subsidy lists (资助名单): submitted, verified with a stamp, imported line by line by registration."""
