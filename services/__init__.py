"""The four services, each owned by a department; none imports another (fences in pyproject.toml)."""
