"""Supervision (监督): stream rules flag held, advanced and misrouted money; cases close with a finding."""
