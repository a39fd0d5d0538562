"""Facts between services: relay out of our log, a broker port with three adapters, consumers into our log.

What it is not: the archive of facts (that is each service's log; a broker is transport and may lose all it
has), a place for private events (only contract messages leave a service), or a request channel.
"""
