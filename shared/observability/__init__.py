"""Logs without personal data and the metrics of a service.

What it is not: a place for business figures; those are read models that a gauge shows.
"""
