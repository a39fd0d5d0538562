"""The outside world of a rehearsal: residents, channels, banks, treasury, police. HTTP and files only."""
