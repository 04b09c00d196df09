"""The scenarios, a module a subject; each has a list `SCENARIOS`."""
