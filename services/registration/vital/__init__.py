"""Vital facts (死亡、户籍): deaths, corrections, overdue reports, household registration."""
