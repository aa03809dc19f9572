"""What one process works out and the next would work out again, kept in a file of the user's.

A short command spends a third of its time on reading devices and the texts of cascades, which have
not changed since the last one. The command line keeps both (`keep`); other processes of Python read
anew. The file, `$XDG_CACHE_HOME/hwmodel/kept` (by default below `~/.cache`), holds for exactly this
code and these data files: it is passed over where any of them is another than when it was written,
where it belongs to somebody else or others may write it, or where it cannot be read. So it may be
deleted at any time; with `HWMODEL_CACHE=0` there is none.
"""

import atexit
import contextlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

SWITCH = "HWMODEL_CACHE"
"""Environment variable that turns it off, by 0."""

MOST_BYTES = 8 * 2**20
"""Of all that is kept; what does not fit any more is worked out each time."""

OF_CODE = (".py", ".yaml", ".lark", ".json")
"""Ends of the names of files that what is kept may follow from."""

ROOT = Path(__file__).resolve().parents[1]


class _Store:
    """What is kept: each value pickled by itself, so that those not asked for cost nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = (_code(), sys.version)
        self.held: dict[str, bytes] = _read(path, self.mark)
        self.changed = False

    def add(self, key: str, value: Any) -> None:
        """Keep a value, if it can be and there is room."""
        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except (TypeError, AttributeError, pickle.PicklingError):
            return
        if sum(map(len, self.held.values())) + len(data) > MOST_BYTES:
            return
        self.held[key] = data
        if not self.changed:
            self.changed = True
            atexit.register(self.write)

    def write(self) -> None:
        """Write the file, whole or not at all; where that cannot be done nothing is kept."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self.path.parent)
            try:
                with os.fdopen(number, "wb") as stream:
                    pickle.dump((self.mark, self.held), stream, pickle.HIGHEST_PROTOCOL)
                os.replace(name, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name)


_store: _Store | None = None


def keep() -> None:
    """From here on, this process keeps what `across` marks, and takes what others kept."""
    global _store
    if os.environ.get(SWITCH) == "0" or _store is not None:
        return
    said = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with contextlib.suppress(OSError, RuntimeError):  # nobody's home
        base = said if said.is_absolute() else Path("~/.cache").expanduser()
        _store = _Store(base / "hwmodel" / "kept")


def across(function: Callable[P, R]) -> Callable[P, R]:
    """A function of texts alone whose answers are kept across processes, where that is asked."""
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def call(*args: P.args, **given: P.kwargs) -> R:
        if _store is None or given:
            return function(*args, **given)
        key = "\0".join((name, *cast(tuple[str, ...], args)))
        if key in _store.held:
            return pickle.loads(_store.held[key])
        answer = function(*args, **given)
        _store.add(key, answer)
        return answer

    return call


def _read(path: Path, mark: tuple[str, str]) -> dict[str, bytes]:
    """What a file of this user keeps under this mark; nothing where anything is wrong with it."""
    try:
        with open(path, "rb") as stream:
            found = os.fstat(stream.fileno())
            if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
                return {}
            told, held = pickle.load(stream)
    except Exception:  # whatever a file that is damaged makes of itself
        return {}
    return held if told == mark else {}


@cache
def _code() -> str:
    """A digest of names, sizes and times of change of every file that answers may follow from."""
    from hashlib import blake2b

    return blake2b(repr(sorted(_files(str(ROOT)))).encode(), digest_size=16).hexdigest()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name not in ("__pycache__", "data"):
                yield from _files(entry.path)
        elif entry.name.endswith(OF_CODE):
            found = entry.stat()
            yield entry.path, found.st_mtime_ns, found.st_size
