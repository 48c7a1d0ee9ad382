"""Child processes, run under limits to their end."""
