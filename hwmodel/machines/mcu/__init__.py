"""Microcontrollers: arenas, libraries, patch by patch."""
