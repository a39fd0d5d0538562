"""The four services; each is owned by one department and imports none of the others."""
