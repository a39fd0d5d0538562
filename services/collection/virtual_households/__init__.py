"""Virtual households (虚拟户) and the village agents (代办员) who collect through them."""
