"""Entitlements (医保待遇): from when to when a person is covered."""
