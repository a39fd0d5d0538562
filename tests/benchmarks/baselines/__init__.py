"""What the measures are held against: the same work done the plain way."""
