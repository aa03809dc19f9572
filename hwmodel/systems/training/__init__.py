"""Training: what one device does in a step, what it exchanges and keeps, and when."""
