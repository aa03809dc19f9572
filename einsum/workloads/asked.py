"""What words about a workload mean beyond the arguments of its function.

A request in words (a line of cases, a command, a study) names the arguments of a function. What a
function asks of its words together, which sizes are answered one by one, and what is done once for
all sizes stands here, by workload; who reads requests asks no workload's name.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import MADE_OF, model
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount

PHASES = {
    "mixed": ("context", "prompt", "prompts", "cached"),
    "decode": ("context",),
    "prefill": ("prompt", "cached", "images", "image_tokens"),
}
"""Phase of a model -> the sizes that it takes besides the batch."""

NEEDED = {"decode": ("context",), "prefill": ("prompt",)}
"""Those that must be given; of a mixed step those of a group that has sequences."""

SHORT_QUERIES = 16
"""Attention of this many queries or fewer is asked for apart from that of more: decode kernels run
it where the group of heads that share keys is small too, and one call runs one kernel."""

Maker = Callable[[Mapping[str, Amount]], Cascade | Stack]
"""A function from sizes to the workload."""


def _nothing(words: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Any words go with any sizes."""


def phase_of(sizes: Collection[str]) -> str | None:
    """The phase of a model that these names of sizes mean; None where they mean none."""
    found = [name for name in ("context", "prompt") if name in sizes]
    return {2: "mixed", 0: None}.get(len(found), "decode" if "context" in found else "prefill")


def _together(sizes: Mapping[str, int]) -> Mapping[str, int]:
    """Requests of any sizes are answered in one call."""
    return {}


@dataclass(frozen=True)
class Asked:
    """What a workload asks of its words.

    Attributes:
        check: raises `InputError` for words and sizes that do not go together.
        apart: numbers, by name, of which each combination is answered in a call of its own.
        maker: does once what no size decides; None: the workload's function is called with all.
        naught: sizes that may be 0.
    """

    check: Callable[[Mapping[str, Any], Mapping[str, int]], None] = _nothing
    apart: Callable[[Mapping[str, int]], Mapping[str, int]] = _together
    maker: Callable[[Mapping[str, Any]], Maker] | None = None
    naught: frozenset[str] = frozenset()


def _phase(words: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """A phase takes its own sizes alone."""
    phase = words["phase"]
    if not isinstance(phase, str) or phase not in PHASES:
        raise InputError(f"llm: {UnknownNameError('phase', phase, PHASES)}")
    for name in NEEDED.get(phase, ()):
        if name not in sizes:
            raise InputError(f"llm: phase {phase}: expected the field {name!r}, found none")
    for name in dict.fromkeys((*PHASES["mixed"], *PHASES["prefill"])):
        if name in sizes and name not in PHASES[phase]:
            told = " (the cache is the context)" if name == "cached" else ""
            raise InputError(
                f"llm: phase {phase}: expected no field {name!r}{told}, found {sizes[name]}"
            )
    if phase != "mixed" and sizes["batch"] == 0:
        raise InputError("llm: batch: expected a number above 0, found 0")


def _groups(sizes: Mapping[str, int]) -> Mapping[str, int]:
    """Steps of which a group has no sequences have other kernels than those where it has."""
    return {f"no {name}": 0 for name in ("batch", "prompts") if sizes.get(name) == 0}


def _step(words: Mapping[str, Any]) -> Maker:
    """A phase of a model that is read once."""
    asked = {name: words[name] for name in MADE_OF if name in words}
    ignored = words.get("ignore_keys", [])
    if not isinstance(ignored, list):
        raise InputError(f"llm: ignore_keys: expected a list of keys, found {shown(ignored)}")
    reading = {name: words[name] for name in ("as_", "part") if name in words}
    llm = model(words["config"], ignore_keys=cast(list[str], ignored), **reading, **asked)
    step, names = getattr(llm, words["phase"]), PHASES[words["phase"]]
    routing = {n: words[n] for n in ("routing", "exponent", "image_size", "draft") if n in words}

    def made(sizes: Mapping[str, Amount]) -> Stack:
        given = {name: sizes[name] for name in names if name in sizes}
        return step(sizes["batch"], **given, **routing)

    return made


def _kernels(sizes: Mapping[str, int]) -> Mapping[str, int]:
    """Attention of few queries, by its queries and the heads that share keys."""
    if sizes["queries"] > SHORT_QUERIES:
        return {}
    group = sizes["heads"] // sizes.get("kv_heads", sizes["heads"])
    return {"queries": sizes["queries"], "group": group}


ASKED: Mapping[str, Asked] = {
    "llm": Asked(check=_phase, apart=_groups, maker=_step, naught=frozenset(("batch", "prompts"))),
    "attention": Asked(apart=_kernels),
}
"""By workload; of all others nothing is asked."""


def asked_of(workload: str) -> Asked:
    """What a workload asks of its words."""
    return ASKED.get(workload, Asked())
