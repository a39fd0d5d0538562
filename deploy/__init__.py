"""Ways to run the system: one machine, containers, the command line and the simulated outside world."""
