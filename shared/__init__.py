"""What two or more services use. Imports no service (fence in pyproject.toml)."""
