"""Whether a checkpoint's files hold the tensors of the network that its config makes.

A network says its weights by the paths of their modules and their sizes; a file (safetensors'
headers, their index, a GGUF) says names, and sizes unless weights are packed. What a layer lacks
that its like have, or what has another number of elements, is an error by name; of what no layer
has under that name, and of tensors that are of no part of the network, a warning tells: names are
free, and files may hold a tower or a drafting module that is not read.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.weight import EXPERT, LAYER
from hwmodel.einsum.workloads.quantisation.modules import FUSED, spelled
from hwmodel.einsum.workloads.quantisation.stored import PLAIN, WEIGHTS, Held, Stored, place_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable

BIAS = "bias"
BUFFERS = re.compile(
    r"(scale|scales|zeros|biases|blocks|absmax|scale_inv|scale_2|g_idx|_shape|inv_freq|rope_freqs"
    r"|position_ids|masked_bias|num_batches_tracked|quant_map|quant_state[^.]*|bitsandbytes__\w+)"
    r"(\.weight)?$|(attn|attention)\.bias$|(^|\.)lm_head\.weight$"
)
"""Names of what is counted with a weight or worked out on loading, and a head that is tied."""
EXACT = ("linear", "head", "table", "norm", "router", "bias")
"""Roles of weights whose number of elements every file has alike."""
SAID = 4
"""Tensors that one message names; more are counted."""
Words = tuple[str, ...]


@dataclass(frozen=True)
class Tensor:
    """One of a file: its name there, the modules that it may be, its elements (None: packed).

    `bias` is None of a parameter without a module of its own, which may be either.
    """

    name: str
    places: tuple[Words, ...]
    elements: int | None = None
    bias: bool | None = False


@dataclass(frozen=True)
class _Wanted:
    """A module of a network: its path; in each layer the elements of all copies, and how many.

    Elements are 0 where files may store them otherwise.
    """

    path: str
    bias: bool
    layers: Mapping[int | None, tuple[int, int]]

    def name(self, layer: int | None, expert: int = 0) -> str:
        """Its path in a layer."""
        named = self.path if layer is None else self.path.replace(LAYER, str(layer))
        return named.replace(EXPERT, str(expert))


@dataclass
class _Held:
    """The tensors of a file by the module that they are, and which of them were found."""

    at: Mapping[tuple[Words, bool], tuple[Tensor, ...]]
    read: set[str] = field(default_factory=set[str])

    def take(self, words: Words, bias: bool) -> tuple[Tensor, ...]:
        """Those of a module; from here on they are known."""
        found = self.at.get((words, bias), ())
        self.read.update(each.name for each in found)
        return found


def of_checkpoint(files: Stored) -> Iterator[Tensor]:
    """The tensors of safetensors files, or the names of their index."""
    held = files.tensors or (Held(name, "", (), 0) for name in files.names)
    for each in held:
        module, last = place_of(each.name)
        elements = prod(each.shape) if each.dtype in PLAIN else None
        if last in WEIGHTS:
            yield Tensor(each.name, (spelled(module),), elements)
        elif last == BIAS and each.name.endswith(f".{BIAS}"):
            yield Tensor(each.name, (spelled(module),), elements, bias=True)
        elif last == BIAS:  # mlp.experts.down_proj_bias, or mixer.dt_bias
            yield Tensor(each.name, (spelled(module), spelled(each.name)), elements, bias=None)
        else:
            yield Tensor(each.name, (spelled(each.name),), elements, bias=None)


def checked_against(
    where: str, network: Callable[[], Network], tensors: Iterable[Tensor]
) -> tuple[str, ...]:
    """Raises `InputError` for tensors that are absent, or of another size; else what is told."""
    every = tuple(tensors)
    if not every:
        return ()
    by_place: dict[tuple[Words, bool], list[Tensor]] = {}
    for tensor in every:
        for place in tensor.places:
            for bias in (False, True) if tensor.bias is None else (tensor.bias,):
                by_place.setdefault((place, bias), []).append(tensor)
    held = _Held({key: tuple(some) for key, some in by_place.items()})
    unnamed: list[str] = []
    absent: list[str] = []
    for wanted in _wanted(network()):
        found = {layer: _tensor_of(wanted, layer, held, where) for layer in wanted.layers}
        there = next(((layer, one) for layer, one in found.items() if one.name), None)
        if there is None:
            unnamed.append(wanted.path + (".bias" if wanted.bias else ""))
            continue
        absent += [
            _as_called(one.lacks, layer, *there) for layer, one in found.items() if one.lacks
        ]
    if absent:
        raise InputError(
            f"{where}: expected a tensor {_few(absent)}, found none, where other layers have one:"
            " files that are not whole, or of another model; a config without any is read alone"
        )
    rest = [t.name for t in every if t.name not in held.read and not BUFFERS.search(t.name)]
    if unnamed and not rest:
        raise InputError(
            f"{where}: expected tensors of {_few(unnamed)}, which its config says that the network"
            " has; found none, nor any of another name"
        )
    return tuple(_told(where, unnamed, rest))


def _told(where: str, unnamed: list[str], rest: list[str]) -> Iterator[str]:
    if unnamed:
        yield (
            f"{where}: no tensor has the name of {_few(unnamed)}; they are counted as the config"
            f" says, and may be {_few(rest)}, which the network has no such name for"
        )
    elif rest:
        yield f"{where}: tensors of no part of the network that is read: {_few(rest)}"


def _few(names: list[str]) -> str:
    told = ", ".join(printable(name) for name in names[:SAID])
    return told + (f" and {len(names) - SAID:,} more" if len(names) > SAID else "")


def _wanted(network: Network) -> Iterator[_Wanted]:
    """The modules of a network, weights apart from biases; the second tensor of a norm is one."""
    found: dict[tuple[str, bool], dict[int | None, tuple[int, int]]] = {}
    for weight, layers in network.weights:
        own = found.setdefault((weight.path, weight.role == BIAS), {})
        size = weight.copies * prod(weight.shape) if weight.role in EXACT else 0
        for layer in layers:
            second = weight.role == "norm" and layer in own
            at = found.setdefault((weight.path, True), {}) if second else own
            elements, copies = at.get(layer, (0, 1))
            at[layer] = elements + size, max(copies, weight.copies)
    for (path, bias), sizes in found.items():
        yield _Wanted(path, bias, sizes)


@dataclass(frozen=True)
class _One:
    """What a layer has of a module: the name of a tensor, or the path that none is of."""

    name: str = ""
    lacks: str = ""


def _tensor_of(wanted: _Wanted, layer: int | None, held: _Held, where: str) -> _One:
    """A tensor of a module in a layer; the first path, of experts too, that a file lacks."""
    elements, copies = wanted.layers[layer]
    named = spelled(wanted.name(layer))
    joined = tuple(w for at, w in enumerate(named) if not (at and named[at - 1] == "experts"))
    whole = _found(joined, wanted.bias, held)
    if whole or EXPERT not in wanted.path:
        tensors = whole or _found(named, wanted.bias, held)
        _sized(tensors, wanted.name(layer), elements, where)
        return _One(tensors[0].name) if tensors else _One(lacks=wanted.name(layer))
    each = [_found(spelled(wanted.name(layer, n)), wanted.bias, held) for n in range(copies)]
    for n, tensors in enumerate(each):
        _sized(tensors, wanted.name(layer, n), elements // copies, where)
    name = next((tensors[0].name for tensors in each if tensors), "")
    lacks = next((wanted.name(layer, n) for n, tensors in enumerate(each) if not tensors), "")
    return _One(name, lacks)


def _as_called(path: str, layer: int | None, other: int | None, one: _One) -> str:
    """What a file would call a tensor that it lacks, by what it calls another layer's."""
    if layer is None or EXPERT in path or ".experts." in path:
        return path
    return re.sub(rf"(?<=\.){other}(?=\.)", str(layer), one.name, count=1)


def _found(words: Words, bias: bool, held: _Held) -> tuple[Tensor, ...]:
    """Tensors of a module: its own, those that it joins, or the one that it is joined in."""
    own = held.take(words, bias)
    if own:
        return own
    *place, last = words
    for joined, parts in FUSED.items():
        if last == joined:
            each = [held.take((*place, part), bias) for part in parts]
            return tuple(t for some in each for t in some) if all(each) else ()
        if last in parts:
            whole = held.take((*place, joined), bias)
            if whole:
                return tuple(Tensor(t.name, t.places, None, bias) for t in whole)
    return ()


def _sized(tensors: tuple[Tensor, ...], path: str, elements: int, where: str) -> None:
    """Raises `InputError` for tensors that have another number of elements."""
    sizes = [each.elements for each in tensors]
    if not (sizes and elements) or None in sizes or sum(filter(None, sizes)) == elements:
        return
    names = " and ".join(printable(each.name) for each in tensors)
    raise InputError(
        f"{where}: {names}: expected {elements:,} elements, as the config has {path},"
        f" found {sum(filter(None, sizes)):,}"
    )
