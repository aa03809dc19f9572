"""What a specification says of zeros, as a `Sparsity`: Timeloop's `sparse_optimizations`.

    representation_format   B, UB: bitmask; RLE of so many bits (of a rank, or of the memory's
                            `metadata_datawidth`): run-length; CP behind UOP: csr;
                            CP: coordinate; UOP alone: plain
    action_optimization     skipping at the memory of the elements, or at one outside of it (tiles
                            that meet nothing but zeros are not brought inwards); gating at the
                            elements' memory
    compute_optimization    gating and skipping where an operand is zero; sums are not touched then

What has no counterpart (gating at outer memories, spatial skipping, formats of ranks by themselves)
is passed over, and said. Source: Wu et al., Sparseloop (MICRO 2022), and its tutorial's files.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.specification import plain_table, tables, texts
from hwmodel.hardware.timeloop import COMPUTES, RUN, Architecture, Level
from hwmodel.quantity.errors import InputError

BITMASKS = ("B", "UB")
SKIPPING, GATING = "skipping", "gating"


def sparsity_of(read: Architecture, cascade: Cascade) -> tuple[str, tuple[str, ...]]:
    """The text of a `Sparsity`, empty where nothing is said of zeros, and what is passed over.

    Raises `InputError` for tensors that the work does not have.
    """
    if not read.sparse:
        return "", ()
    einsum = cascade.einsums[0]
    operands = tuple(dict.fromkeys(access.tensor for access in einsum.reads))
    roles = dict(zip((einsum.name, *operands), ("output", "input", "weight"), strict=False))
    if len(operands) != 2 or len(cascade.einsums) > 1:
        told = ", ".join(operands)
        return "", (f"sparse_optimizations are passed over: of a product of two, found {told}",)
    found = _Translated(roles, read.levels)
    for level, said in read.sparse.items():
        found.take(level, said)
    table: dict[str, Any] = {
        "name": "specification",
        "title": "formats, gates and skips of a specification",
        "source": "the specification's sparse_optimizations",
        "formats": found.formats,
        "gates": found.rules[GATING],
        "skips": found.rules[SKIPPING],
    }
    return json.dumps(table), tuple(found.notes)


class _Translated:
    """Formats and rules found so far."""

    def __init__(self, roles: Mapping[str, str], levels: Sequence[Level]) -> None:
        self.roles, self.levels = roles, levels
        self.formats: dict[str, dict[str, str]] = {}
        self.rules: dict[str, list[dict[str, Any]]] = {GATING: [], SKIPPING: []}
        self.notes: list[str] = []

    def take(self, level: str, said: Mapping[str, Any]) -> None:
        """What one memory, or the unit that computes, does about zeros."""
        where = f"{level or 'compute'}: sparse_optimizations"
        run_bits = said.get(RUN)
        for key, value in said.items():
            name = key.replace("-", "_")
            if name == RUN:
                continue
            if name == "representation_format" and level != COMPUTES:
                self._stored(level, plain_table(value, f"{where}: {key}"), run_bits, where)
            elif name == "action_optimization" and level != COMPUTES:
                for action in tables(value, f"{where}: {key}"):
                    self._acted(level, action, where)
            elif name == "compute_optimization":
                for action in tables(value, f"{where}: {key}"):
                    self._computed(str(action.get("type")), where)
            else:
                self.notes.append(f"{where}: {key} is passed over")

    def is_nearest(self, level: str, tensor: str) -> bool:
        """Whether no memory inside of a level may hold a tensor."""
        places = [each.memory for each in self.levels]
        inner = self.levels[places.index(level) + 1 :]
        return not any(each.holds in (None, "All") or tensor in each.holds for each in inner)

    def role(self, tensor: str, where: str) -> str:
        """A tensor's part in the product."""
        if tensor not in self.roles:
            known = ", ".join(self.roles)
            raise InputError(f"{where}: expected a data space ({known}), found {tensor!r}")
        return self.roles[tensor]

    def _stored(self, level: str, said: Mapping[str, Any], run_bits: Any, where: str) -> None:
        spaces = said.get("data_spaces", said.get("data-spaces"))
        for space in tables(spaces, f"{where}: data_spaces"):
            tensor = str(space.get("name"))
            role, ranks = self.role(tensor, where), tables(space.get("ranks"), f"{where}: ranks")
            named = [{k.replace("-", "_"): v for k, v in rank.items()} for rank in ranks]
            kept = _format(named, run_bits)
            if kept is None:
                told = ", ".join(str(rank.get("format")) for rank in ranks)
                self.notes.append(f"{where}: {tensor}: {told} is passed over, it is kept plain")
            else:
                self.formats.setdefault(level, {})[role] = kept

    def _acted(self, level: str, action: Mapping[str, Any], where: str) -> None:
        kind = str(action.get("type"))
        for option in tables(action.get("options"), f"{where}: options"):
            target = str(option.get("target"))
            on = option.get("condition_on", option.get("condition-on"))
            tensors = texts(on, f"{where}: condition_on")
            rule: dict[str, Any] = {
                "of": [self.role(target, where)],
                "where": [self.role(tensor, where) for tensor in tensors],
            }
            near = self.is_nearest(level, target)
            if kind not in self.rules or (kind == GATING and not near):
                self.notes.append(f"{where}: {kind} of {target} is passed over")
                continue
            outer = {} if near else {"out_of": level}
            self.rules[kind].append({**rule, **outer})

    def _computed(self, kind: str, where: str) -> None:
        if kind not in self.rules:
            self.notes.append(f"{where}: {kind} is passed over")
            return
        self.rules[kind].append({"of": ["output"], "where": ["input", "weight"]})


def _format(ranks: Sequence[Mapping[str, Any]], run_bits: Any) -> str | None:
    """Our format of a tensor whose ranks are kept so, the outermost first; None where none is."""
    names = [str(rank.get("format", "")).upper() for rank in ranks]
    packed = [name for name in names if name not in ("UOP", "U")]
    if not packed:
        return None if "UOP" in names else "plain"
    if len(set(packed)) > 1:
        return None
    if packed[0] in BITMASKS:
        return "bitmask"
    if packed[0] in ("CP", "C"):
        return "csr" if "UOP" in names else "coordinate"
    bits = ranks[names.index(packed[0])].get("metadata_word_bits", run_bits)
    return f"run-length {bits}" if packed[0] == "RLE" and isinstance(bits, int) else None
