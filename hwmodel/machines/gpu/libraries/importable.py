"""What a name means that stands for something of a module: "module:NAME", or "mine.py:NAME".

A file's NAME may be left out where one library stands in it. A file is read once; its module has a
name made of its path, so that two files of one name do not mix.
"""

import re
import sys
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hwmodel.machines.gpu.libraries.library import Library
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import kind_of, name_of

FILE = re.compile(r"(.+\.py)(?::(\w+))?")
"""A name that means a file."""


def imported(name: str) -> Any:
    """What a name means; raises `InputError`."""
    in_file = FILE.fullmatch(name)
    if in_file is not None:
        path, attribute = Path(in_file[1]), in_file[2]
        module, where = _loaded(path.absolute(), name_of(path)), name_of(path)
    else:
        where, _, attribute = name.partition(":")
        module = _module(where, attribute)
    known = sorted(n for n, value in vars(module).items() if isinstance(value, Library))
    if not attribute:
        if len(known) != 1:
            found = ", ".join(known) or "none"
            raise InputError(f"{where}: expected {where}:NAME of a library, one of {found}")
        (attribute,) = known
    if attribute not in vars(module):
        beside = f"; libraries in it: {', '.join(known)}" if known else ""
        raise InputError(f"{where}: has no {attribute!r}{beside}")
    return vars(module)[attribute]


def _module(name: str, attribute: str) -> ModuleType:
    """An importable module; of what is a file here, the way to say so."""
    try:
        return import_module(name)
    except (ImportError, ValueError, TypeError) as error:
        path = f"{name.replace('.', '/')}.py"
        beside = kind_of(path) == "file" if name else False
        hint = f"; a file is named by its path: ./{path}:{attribute}" if beside else ""
        raise InputError(
            f"kernel {name}:{attribute}: expected module:NAME of a Library, or a file such as"
            f" ./mine.py:NAME; {error}{hint}"
        ) from None


@lru_cache(maxsize=64)
def _loaded(path: Path, said: str) -> ModuleType:
    """The module of a file; raises `InputError` where there is none, or where it fails."""
    if kind_of(path) != "file":
        raise InputError(f"{said}: expected a file with a library of kernels, found none")
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # as imports do: dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises is a fault of that file
        del sys.modules[name]
        why = f"{type(error).__name__}: {shown(str(error))}"
        raise InputError(f"{said}: cannot be loaded: {why}") from error
    return module
