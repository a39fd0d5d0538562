"""The outside world of a rehearsal: residents, channels, banks, treasury, police, and the campaign's driver.

Synthetic and seeded. Speaks HTTP and files only: it imports no service and has no database address.
"""
