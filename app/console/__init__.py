"""Clients at a terminal: they speak to a running service through its public API alone, and show what it answers."""
