"""``liangxian``: the command line of operators, integrators and developers."""
