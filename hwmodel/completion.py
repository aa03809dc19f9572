"""Words that a shell completes, answered without loading the models: in some 0.05 s.

A shell calls the command with `_HWMODEL_COMPLETE=complete_bash` (or zsh, fish, powershell) and the
words so far, as the scripts do that `hwmodel --install-completion` writes (typer's protocol).
Verbs, their options and the names that these take stand in `completions.json`, which is written
from the records of the verbs (`python -m tests.face_stub`); devices and models are the names of
files, the user's own devices among them.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

ASKED: Final = "_HWMODEL_COMPLETE"
"""Environment variable by which a shell asks."""

HERE: Final = os.path.dirname(os.path.abspath(__file__))
TABLES: Final = os.path.join(HERE, "completions.json")
FILES: Final = {
    "devices": (os.path.join(HERE, "hardware", "devices"), ".yaml"),
    "models": (os.path.join(HERE, "einsum", "workloads", "configs"), ".json"),
}
"""List of words -> the folder whose files have these names, and their ending."""

Words: TypeAlias = dict[str, str]
"""Word -> what is said of it."""


@cache
def tables() -> Mapping[str, Any]:
    """Verbs with their options and places, lists of names, fields of workloads."""
    with open(TABLES, encoding="utf-8") as stream:
        return json.load(stream)


def words_of(name: str) -> list[str]:
    """The words of a list; none of a list that is not known."""
    if name == "works":
        return [*tables()["fields"], *words_of("models")]
    if name not in FILES:
        return list(tables()["lists"].get(name, ()))
    folder, ending = FILES[name]
    found = sorted(each[: -len(ending)] for each in os.listdir(folder) if each.endswith(ending))
    if name == "devices":
        from hwmodel.hardware.own import own

        found += [each for each in own() if each not in found]
    return found


def completed(before: list[str], begun: str) -> Words:
    """What the last word, `begun`, may become after the words of a command before it."""
    verbs = tables()["verbs"]
    if not before:
        return _beginning(begun, {name: verb["help"] for name, verb in verbs.items()})
    verb = verbs.get(before[0])
    if verb is None:
        return {}
    options = verb["options"]
    if len(before) > 1 and (taken := options.get(before[-1], {}).get("takes")) is not None:
        return _values(taken, begun)
    if begun.startswith("-"):
        return _beginning(begun, {name: each["help"] for name, each in options.items()})
    said = _said(before[1:], options)
    place = verb["places"][min(len(said), len(verb["places"]) - 1)] if verb["places"] else ""
    if place == "fields":
        fields = tables()["fields"].get(said[0], ())
        return _beginning(begun, {f"{name}=": "" for name in fields})
    return _values(place, begun)


def _said(words: Iterable[str], options: Mapping[str, Any]) -> list[str]:
    """The words that stand for themselves, no options and none that an option takes."""
    found: list[str] = []
    takes = False
    for word in words:
        if takes:
            takes = False
        elif word.startswith("-"):
            takes = options.get(word, {}).get("takes") is not None
        else:
            found.append(word)
    return found


def _values(name: str, begun: str) -> Words:
    """Words of a list that end a text such as `h100,h2`, or `attention=cud`."""
    cut = max(begun.rfind(sign) for sign in ",=") + 1
    known = words_of(name)
    return {begun[:cut] + word: "" for word in known if word.startswith(begun[cut:].lower())}


def _beginning(begun: str, known: Mapping[str, str]) -> Words:
    return {word: said for word, said in known.items() if word.startswith(begun)}


def in_bash(found: Words) -> str:
    """A word a line."""
    return "\n".join(found)


def in_zsh(found: Words) -> str:
    """Words and what is said of them, for `_arguments`; files, where there is none."""
    if not found:
        return "_files"

    def quoted(text: str) -> str:
        for sign, instead in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", "\\\\:")):
            text = text.replace(sign, instead)
        return f'"{text}"'

    lines = [f"{quoted(w)}:{quoted(said)}" if said else quoted(w) for w, said in found.items()]
    listed = "\n".join(lines)
    return f"_arguments '*: :(({listed}))'"


def in_fish(found: Words) -> str:
    """Words, with what is said of them behind a tab."""
    return "\n".join(f"{word}\t{said}" if said else word for word, said in found.items())


def in_powershell(found: Words) -> str:
    """Words, with what is said of them behind three colons."""
    return "\n".join(f"{word}:::{said or ' '}" for word, said in found.items())


SHELLS: Final[Mapping[str, Callable[[Words], str]]] = {
    "bash": in_bash,
    "zsh": in_zsh,
    "fish": in_fish,
    "powershell": in_powershell,
    "pwsh": in_powershell,
}


def answer() -> int | None:
    """Print what a shell asks for, and the exit status; None where no shell asks for words."""
    asked, _, shell = os.environ.get(ASKED, "").partition("_")
    if asked != "complete" or shell not in SHELLS:
        return None
    before, begun = _asked(shell)
    found = completed(before, begun)
    if shell == "fish" and os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    print(SHELLS[shell](found))
    return 0


def _asked(shell: str) -> tuple[list[str], str]:
    """Words before the one that is begun, without the command's name, and that one."""
    if shell == "bash":
        words = _split(os.environ.get("COMP_WORDS", ""))
        place = int(os.environ.get("COMP_CWORD") or len(words))
        return words[1:place], words[place] if place < len(words) else ""
    text = os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(text)[1:]
    if shell in ("powershell", "pwsh"):
        begun = os.environ.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
        return (words[:-1] if begun and words else words), begun
    return (words, "") if not words or text.endswith(" ") else (words[:-1], words[-1])


def _split(text: str) -> list[str]:
    """Words as a shell splits them; a quotation that is not closed yet runs to the end."""
    import shlex

    reader = shlex.shlex(text, posix=True, punctuation_chars=False)
    reader.whitespace_split, reader.commenters = True, ""
    found: list[str] = []
    try:
        found.extend(reader)
    except ValueError:
        found.append(reader.token)
    return found
