"""Serving: requests that arrive, the steps an engine makes of them, and what each request waits."""
