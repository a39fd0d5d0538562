"""Test support that ships with the package; imported by tests and deploy/simulation only."""
