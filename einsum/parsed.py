"""The text of a cascade through its grammar, `cascade.lark`; `notation` says what texts mean."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from lark import Lark
from lark.exceptions import UnexpectedInput, UnexpectedToken

from hwmodel.einsum.reader import error_at, read
from hwmodel.einsum.template import Template

WORDS = {
    "UPPER": "a tensor (capital first)",
    "LOWER": "a rank or operator (lower case)",
    "NUMBER": "a number",
    "RELATION": "one of <= < >= > ==",
    "_NEWLINE": "the end of the line",
    "$END": "the end of the text",
    "INF": "inf",
    "RANK": "rank",
    "TENSOR": "tensor",
    "OUTPUT": "output",
    "X": "x",
}
SIGNS = {
    **{"PLUS": "+", "MINUS": "-", "TIMES": "*", "OVER": "/", "LPAR": "(", "RPAR": ")"},
    **{"LSQB": "[", "RSQB": "]", "COMMA": ",", "EQUAL": "=", "VBAR": "|", "TILDE": "~"},
    **{"QMARK": "?", "SEMICOLON": ";", "COLON": ":"},
}


def parsed(text: str, name: str) -> Template:
    """What the text says; `InputError` points at the character where it says nothing."""
    try:
        tree = _parser().parse(text)  # pyright: ignore[reportUnknownMemberType]
    except UnexpectedInput as error:
        _refuse(error, text, name)
    return read(tree, text, name)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = Path(__file__).with_name("cascade.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _refuse(error: UnexpectedInput, text: str, name: str) -> NoReturn:
    """A syntax error as the package's own."""
    wrong: Any = error
    line, column = error.line, error.column
    if isinstance(error, UnexpectedToken):
        expected, kind = {*(wrong.accepts or wrong.expected)}, str(wrong.token.type)
        endings = {"_NEWLINE": "the end of the line", "$END": "the end of the text"}
        found = endings.get(kind, repr(str(wrong.token)))
        if kind == "$END":
            lines = text.rstrip().splitlines() or [""]
            line, column = len(lines), len(lines[-1]) + 1
    else:
        expected, found = {*wrong.allowed}, repr(text[wrong.pos_in_stream])
    names = [word for terminal, word in WORDS.items() if terminal in expected]
    signs = [sign for terminal, sign in SIGNS.items() if terminal in expected]
    wanted = ", ".join([*names, *([" ".join(signs)] if signs else [])])
    raise error_at(text, name, line, column, f"expected {wanted}; found {found}") from None
