"""Numbers and their own business: units, formats, exact arithmetic, errors, text that comes in."""
