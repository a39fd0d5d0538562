"""票据领用 receipt books: handed out to agents, the unused forms handed back (issued + void + unused = handed out)."""
