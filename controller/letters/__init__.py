"""Letters from agents and people: the maildirs, the door, and what passes it."""
