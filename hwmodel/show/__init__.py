"""How answers look: texts, HTML, JSON, tables."""
