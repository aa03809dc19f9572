"""Which format each part of a model is stored in: weights, keys and values, activations.

An argument wins over the config, with a warning where the two differ; absent, formats come from
`quantization_config` (`quantisation/`), then from `torch_dtype`, then bf16. A quantised format
holds for the linear layers of the decoder, but those that the checkpoint leaves out; embedding,
router, norms and biases keep the format of the activations, and so does the language-model head
unless the checkpoint says otherwise. Experts of a layer have the formats of its first. Block scales
count as bytes of the weight, under names such as `int4@128:20` (see `hwmodel.quantity.dtypes`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.quantisation import Quantisation, listed, quantisation
from hwmodel.einsum.workloads.quantisation.schemes import as_asked
from hwmodel.einsum.workloads.quantisation.stored import Stored, as_stored
from hwmodel.quantity.dtypes import dtype as format_of
from hwmodel.quantity.errors import InputError

DEFAULT = "bf16"
_SINGLE = re.compile(r"experts\W{1,3}\d")
"""Names of modules of one expert."""
Placed = Iterable[tuple[Weight, tuple[int | None, ...]]]
"""Weights, each with the numbers of the layers that have it."""


WITHOUT_NARROWING = "the kernels that quantise to it are left out"
"""What is said of layers that read a narrow format; an engine runs those kernels."""


@dataclass(frozen=True)
class Precision:
    """Formats by part; `linear` is what a quantised linear layer reads its input in.

    `weight` and `linear` are those of most linear layers; `checkpoint` says more, module by module,
    unless an argument overruled it. `stored` is what it calls unquantised, `as_read` whether
    products read their input as it says.
    """

    weight: str
    kv: str
    activation: str
    linear: str
    stored: str = DEFAULT
    checkpoint: Quantisation | None = None
    as_read: bool = True

    @property
    def uniform(self) -> bool:
        """Whether a module has one format in all layers."""
        return self.checkpoint is None

    @property
    def usual(self) -> ModuleFormats:
        """Formats of most linear layers."""
        return ModuleFormats(self.weight, self.linear)

    @property
    def wide(self) -> ModuleFormats:
        """Formats of what is not quantised."""
        return ModuleFormats(self.unquantised, self.activation)

    @property
    def unquantised(self) -> str:
        """Format of embedding, head, router, norms and biases."""
        return self.weight if format_of(self.weight).bits >= 16 else self.activation

    def called(self, formats: ModuleFormats) -> str:
        """Formats of a product that are not the usual ones, for people."""
        return "not quantised" if formats == self.wide else formats.weight

    def of(self, weight: Weight, layer: int | None) -> ModuleFormats:
        """Formats of a weight in a layer."""
        if self.checkpoint is None:
            return self.usual if weight.role == "linear" else self.wide
        if weight.role not in ("linear", "head", "table", "router"):
            return self.wide
        path = weight.path_in(layer)
        if path not in self._known:
            self._known[path] = self._said(self.checkpoint, path)
        return self._known[path]

    def stored_in(self, weight: Weight, layers: tuple[int | None, ...]) -> Mapping[str, int]:
        """Formats in which layers store a weight, and how many layers each."""
        if self.uniform:
            return {self.of(weight, layers[0]).weight: len(layers)}
        found: dict[str, int] = {}
        for (kind,), some in self.grouped((weight,), layers).items():
            found[kind.weight] = found.get(kind.weight, 0) + len(some)
        return found

    def grouped(
        self, weights: Sequence[Weight], layers: tuple[int | None, ...]
    ) -> Mapping[tuple[ModuleFormats, ...], tuple[int | None, ...]]:
        """Formats of these weights -> the layers in which they have them, the usual ones first."""
        key = tuple((weight.path, weight.role) for weight in weights), layers
        if key in self._grouped:
            return self._grouped[key]
        found: dict[tuple[ModuleFormats, ...], list[int | None]] = {}
        for layer in layers:
            kinds = tuple(self.of(weight, layer) for weight in weights)
            found.setdefault(kinds, []).append(layer)
        usual = (self.usual,) * len(weights)
        ordered = sorted(found.items(), key=lambda each: each[0] != usual)
        self._grouped[key] = {kinds: tuple(some) for kinds, some in ordered}
        return self._grouped[key]

    @cached_property
    def _grouped(self) -> dict[Any, Mapping[tuple[ModuleFormats, ...], tuple[int | None, ...]]]:
        """What `grouped` has found."""
        return {}

    @cached_property
    def _known(self) -> dict[str, ModuleFormats]:
        """What the checkpoint has said."""
        return {}

    def _said(self, checkpoint: Quantisation, path: str) -> ModuleFormats:
        said = checkpoint.of(path)
        if said.weight == self.stored:
            return self.wide
        return said if self.as_read else ModuleFormats(said.weight, self.activation)


def precision(
    where: str,
    weights: Placed,
    *,
    stated: str | None,
    quantised: Mapping[str, Any] | None,
    files: Stored | None = None,
    quantise: str | None = None,
    dtype: str | None = None,
    weight_dtype: str | None = None,
    kv_dtype: str | None = None,
    activation_dtype: str | None = None,
) -> tuple[Precision, tuple[str, ...]]:
    """Formats of a model of these weights, and warnings where an argument overrules its config.

    `stated` is the config's `torch_dtype`, `quantised` its `quantization_config`, which `files`
    beside it correct; `quantise` names what a tool would make of the checkpoint instead
    (`schemes.py`). Raises `UnknownNameError` for a format or a name that does not exist,
    `CoverageError` for a way of quantising that is not modelled.
    """
    warnings: list[str] = []
    if stated is None:
        warnings.append(f"{where}: no torch_dtype; {DEFAULT} assumed")
    stored = _canonical(where, "torch_dtype", stated or DEFAULT)
    placed = tuple(weights)
    said = quantisation(where, quantised, stored)
    if quantise is not None:
        said = as_asked(where, quantise, stored, said)
    elif files is not None:
        said = as_stored(said, files)
    most = said.wide if said.kept else _most(said, placed)
    warnings += said.warnings
    if said.rules:
        paths = (weight.path_in(layer) for weight, layers in placed for layer in layers)
        warnings += said.complaints(paths)
    alone = [rule.pattern.name for rule in said.rules if _SINGLE.search(rule.pattern.name)]
    if alone:
        warnings.append(
            f"{where}: quantization_config: {listed(alone)}: experts of a layer are counted alike,"
            " in the formats of its first"
        )
    found = {"weight": most.weight, "kv": said.kv or stored, "activation": stored}
    given = {"weight": weight_dtype, "kv": kv_dtype, "activation": activation_dtype}
    chosen: dict[str, str] = {}
    for part, present in found.items():
        asked = given[part] or dtype
        chosen[part] = _canonical("model", f"{part}_dtype", asked) if asked else present
        if chosen[part] != present and (stated is not None or part == "weight" != stored):
            warnings.append(
                f"{where}: {part} format {present} overruled by the argument {chosen[part]}"
            )
    same = chosen["weight"] == most.weight
    follows = same and chosen["activation"] == stored
    linear = most.input if follows else chosen["activation"]
    if linear != chosen["activation"]:
        warnings.append(f"{where}: linear layers read {linear}; {WITHOUT_NARROWING}")
    if format_of(chosen["activation"]).bits < 16:
        warnings.append(
            f"{where}: activations are taken as stored in {chosen['activation']} between kernels"
        )
    formats = Precision(
        *(chosen["weight"], chosen["kv"], chosen["activation"], linear),
        stored=stored,
        checkpoint=said if same and not said.kept else None,
        as_read=follows,
    )
    return formats, tuple(warnings)


def _most(said: Quantisation, weights: Placed) -> ModuleFormats:
    """The formats that most parameters of linear layers have."""
    held: dict[ModuleFormats, int] = {said.wide: 0}
    for weight, layers in weights:
        if weight.role == "linear":
            for layer in layers:
                formats = said.of(weight.path_in(layer))
                held[formats] = held.get(formats, 0) + weight.elements()
    return max(held, key=lambda formats: held[formats])


def _canonical(where: str, key: str, name: str) -> str:
    try:
        return format_of(name).name
    except InputError as error:
        raise InputError(f"{where}: {key}: {error}") from None
