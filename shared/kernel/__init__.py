"""Money, identity, division, time and errors: words every service speaks, no I/O."""
