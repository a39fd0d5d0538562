"""Finding a person by number (身份索引): a blind index this service keeps for the lists it receives."""
