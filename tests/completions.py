"""Writes `hwmodel/completions.json`: what shells complete, from the records of the verbs.

python -m tests.face_stub
"""

import json
from pathlib import Path
from typing import Any

from hwmodel.cli import made
from hwmodel.completion import TABLES
from hwmodel.einsum.workloads.modifiers.named import MODIFIERS
from hwmodel.einsum.workloads.policies.named import POLICIES
from hwmodel.einsum.workloads.registry import architectures
from hwmodel.machines.gpu.engines.shipped import ENGINES, PLAIN
from hwmodel.machines.gpu.libraries.shipped import FAMILIES, SHIPPED
from hwmodel.network.topologies import topologies
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.verbs.ask import VERBS, question
from hwmodel.verbs.papers import systems
from hwmodel.verbs.request import fields_of, workloads

FILE = Path(TABLES)


def verb(name: str) -> dict[str, Any]:
    """Help, options and places of a command; an option that takes nothing has `takes` null."""
    words = question(name).words()
    options: dict[str, dict[str, Any]] = {}
    places: list[str] = []
    for each in made(name).params:
        word = words.get(each.name)
        takes = word.complete if word else ""
        if each.param_type_name == "argument":
            places.append(takes)
            continue
        told = {"help": each.help, "takes": None if each.is_flag else takes}
        options |= dict.fromkeys((*each.opts, *each.secondary_opts), told)
    told = {"help": "What can be asked, and an example.", "takes": None}
    told_of_all = (question(name).__doc__ or "").splitlines()[0]
    return {"help": told_of_all, "options": options | {"--help": told}, "places": places}


def tables() -> dict[str, Any]:
    """All that is written."""
    return {
        "verbs": {name: verb(name) for name in VERBS},
        "lists": {
            "architectures": [*architectures()],
            "engines": [PLAIN, *ENGINES],
            "formats": [*DTYPES],
            "kernels": [*SHIPPED, *(f"{family}=" for family in FAMILIES)],
            "modifiers": [*MODIFIERS],
            "papers": [*systems()],
            "phases": ["decode", "prefill", "mixed"],
            "policies": [*POLICIES],
            "states": ["cold", "warm"],
            "topologies": [*topologies()],
        },
        "fields": {name: [*fields_of(name)] for name in workloads()},
    }


def text() -> str:
    """The file."""
    return json.dumps(tables(), indent=1, ensure_ascii=False) + "\n"
