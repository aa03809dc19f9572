"""Text that is safe to show: what files and users wrote, without what a terminal would obey.

Control characters (escape sequences among them), marks that turn the direction of writing and
halves of surrogate pairs are written by their numbers, as Python writes them; what is long is cut,
and says so.
"""

SHOWN_CHARACTERS = 80
"""Of one value, in a message."""

MESSAGE_CHARACTERS = 4_000
"""Of a whole message: more than the longest list of names that one of ours has."""


def printable(text: str) -> str:
    r"""The text with everything escaped that is no character to see; line ends stay.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def shown(value: object, most: int = SHOWN_CHARACTERS) -> str:
    """A value as it would be written in Python, on one line, cut to about `most` characters.

    >>> shown("x" * 1000, 10)
    "'xxxxxxxxx... (1002 characters)"
    """
    if isinstance(value, int) and value.bit_length() > 4 * most:
        return f"a whole number of some {value.bit_length() * 0.30103:.0f} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError) as error:  # digits, or nesting, beyond what repr writes
        return f"{type(value).__name__} ({type(error).__name__})"
    return printable(cut(text, most))


def cut(text: str, most: int) -> str:
    """The beginning of a long text, and how long it was."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
