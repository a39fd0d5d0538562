"""Open tasks (待办): what a clerk has to look into. Read model only."""
