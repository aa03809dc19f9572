"""Which architectures are known: the files of `architectures/`, each by the model types it reads.

A file names them in `MODEL_TYPES` and has their record, `Config`, or of a family one for each, in
`RECORDS`. Nothing lists the files: their first lines are read as text, and a file is imported when
a config of its model type is.
"""

import ast
import re
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import cast

from hwmodel.einsum.workloads.record import Config

FOLDER = Path(__file__).parent / "architectures"
_NAMES = re.compile(r"^MODEL_TYPES\b[^=]*=\s*(\([^)]*\))", re.MULTILINE)


@lru_cache(maxsize=1)
def architectures() -> dict[str, str]:
    """Model type -> the module that reads it, in the order of the alphabet."""
    found: dict[str, str] = {}
    for path in FOLDER.glob("*.py"):
        named = _NAMES.search(path.read_text(encoding="utf-8"))
        names = cast(tuple[str, ...], ast.literal_eval(named[1])) if named else (path.stem,)
        found |= dict.fromkeys(names, path.stem)
    return dict(sorted(found.items()))


def known(model_type: object) -> bool:
    """Whether configs of this model type can be read."""
    return isinstance(model_type, str) and model_type in architectures()


def of_class(names: object) -> str | None:
    """The model type that a class of transformers is named after: "Glm4MoeForCausalLM".

    `names` is a config's list of classes, of which the first counts; None where none is known.
    """
    if not isinstance(names, (list, tuple)) or not names:
        return None
    stem = re.sub(r"(For[A-Z]\w*|Model|LMHeadModel)$", "", str(cast(list[object], names)[0]))
    return _by_stem().get(stem.lower())


@lru_cache(maxsize=1)
def _by_stem() -> dict[str, str]:
    """Model types by their letters and digits alone."""
    return {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in architectures()}


def record(model_type: str) -> type[Config]:
    """The record of a known model type."""
    module = import_module(f"hwmodel.einsum.workloads.architectures.{architectures()[model_type]}")
    family = cast(dict[str, type[Config]], getattr(module, "RECORDS", {}))
    return family[model_type] if family else cast(type[Config], module.Config)
