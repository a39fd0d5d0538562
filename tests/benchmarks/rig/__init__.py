"""What the benchmarks stand on: servers on this machine, a load generator of its own, CPU accounts, the table."""
