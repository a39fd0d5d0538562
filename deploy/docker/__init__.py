"""The system in containers: one image, started as preparation, migration of roles or a service."""
