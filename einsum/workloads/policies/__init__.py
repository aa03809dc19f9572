"""Cache policies: which keys and values a sequence keeps, head by head; one file a policy."""
