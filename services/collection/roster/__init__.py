"""Rosters (征收清册): reviewed, published, amended and final lists of what a village's people owe."""
