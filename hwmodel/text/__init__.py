"""Plain text, HTML and data frames, whatever it is that they show."""
