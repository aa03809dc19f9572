"""What a long search has worked out, in a file: one that was killed goes on from there.

The file has one JSON table a line: first the digest of the question and the version, then a key and
an answer each, written when they are known. A line that a kill cut short is dropped. Numbers are
written so that they are read back bit for bit; hence a search that goes on ends as an undisturbed
one. Of what stands there `first` is to be worked out again before it is gone on with: an answer
that comes out otherwise now says that the code has changed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from hwmodel import __version__
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import CASES_BYTES, json_value, text_of
from hwmodel.sweeps.fingerprint import pieces_of

LEDGER = "known.jsonl"


def digest_of_values(*values: Any) -> str:
    """SHA-256 of values by what they hold."""
    digest = hashlib.sha256()
    for value in values:
        for piece in pieces_of(value):
            digest.update(piece)
            digest.update(b"\0")
    return digest.hexdigest()


class Ledger(MutableMapping[str, dict[str, Any]]):
    """Keys and answers, each a JSON table, of one question, kept in a folder."""

    def __init__(self, folder: Path, question: str) -> None:
        """Read what is there; raises `InputError` where it is of another question."""
        self.path = folder / LEDGER
        self._known: dict[str, dict[str, Any]] = {}
        head = {"hwmodel": __version__, "question": question}
        folder.mkdir(parents=True, exist_ok=True)
        lines = text_of(self.path, most=CASES_BYTES).split("\n") if self.path.exists() else []
        whole = lines[:-1]  # what follows the last newline was cut short
        if whole and json_value(whole[0], where=str(self.path)) != head:
            raise InputError(
                f"{self.path}: expected what a search of this question left, found another's;"
                " choose another folder"
            )
        for line in whole[1:]:
            entry: Any = json_value(line, where=str(self.path))
            self._known[entry["key"]] = entry["answer"]
        self.first = next(iter(self._known), None)
        text = "".join(f"{line}\n" for line in whole) or f"{json.dumps(head)}\n"
        self.path.write_text(text, encoding="utf-8")

    def __getitem__(self, key: str) -> dict[str, Any]:
        """What was worked out."""
        return self._known[key]

    def __setitem__(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer, on the disk too."""
        self._known[key] = answer
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "answer": answer}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def __delitem__(self, key: str) -> None:
        """Nothing is taken back."""
        raise TypeError("a ledger forgets nothing")

    def __iter__(self) -> Iterator[str]:
        """Keys, as they were written."""
        return iter(self._known)

    def __len__(self) -> int:
        """Answers that are known."""
        return len(self._known)
