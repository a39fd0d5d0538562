"""The four services and the outside world in one process, under a seeded scheduler with faults (仿真)."""
