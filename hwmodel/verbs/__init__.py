"""What can be asked: one file a verb, and requests read from files."""
