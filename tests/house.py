"""Draws the house, its folders and who imports whom, into docs/concepts.md.

    python -m tests.house

An arrow says that a folder imports from another; one that follows from others is left out. The
words of a folder are the question it answers, from the table in CONTRIBUTING.md.
"""

import re
from collections.abc import Mapping

from tests.imports import ROOT, folder_of, imports

PAGE = ROOT / "docs" / "concepts.md"
BLOCK = re.compile(r"```mermaid\n.*?```", re.DOTALL)
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| (.+) \|$", re.MULTILINE)
OUTSIDE = ("hwmodel", "__main__")
"""The face and its door, which hold no rooms."""


def arrows() -> dict[str, frozenset[str]]:
    """Folder -> folders that it imports from."""
    found: dict[str, set[str]] = {}
    for module, others in imports().items():
        found.setdefault(folder_of(module), set()).update(map(folder_of, others))
    return {
        folder: frozenset(others - {folder, *OUTSIDE})
        for folder, others in found.items()
        if folder not in OUTSIDE
    }


def below(folder: str, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """All folders that a folder reaches."""
    return known[folder].union(*(below(other, known) for other in known[folder]))


def questions() -> dict[str, str]:
    """Folder -> the question it answers."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for folders, question in ROW.findall(text):
        names = re.findall(r"\w+", folders)
        parts = question.split("? ")
        each = parts if len(parts) == len(names) else [question] * len(names)
        found |= dict(zip(names, each, strict=True))
    return found


def drawing() -> str:
    """The house as a mermaid flowchart, what is asked on top."""
    known, said = arrows(), questions()
    floors = sorted(known, key=lambda folder: (-len(below(folder, known)), folder))
    lines = ["```mermaid", "flowchart TD"]
    for folder in floors:
        question = said[folder].split(":")[0].split(";")[0].rstrip("?")
        lines.append(f'    {folder}["<b>{folder}</b><br/>{question}"]')
    for folder in floors:
        nearest = (
            other
            for other in known[folder]
            if not any(other in below(between, known) for between in known[folder] - {other})
        )
        lines += [f"    {folder} --> {other}" for other in sorted(nearest)]
    return "\n".join([*lines, "```"])


def main() -> None:
    """Write the drawing into its page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: drawing(), text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
