"""People (人员): who exists, found by number only through a blind index."""
