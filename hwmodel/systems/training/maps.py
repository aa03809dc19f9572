"""Units of a network of maps as pieces of a step: kernels, and what is kept of maps over time.

A map that several layers read is kept once. Of a step's end and its way back the fullest moment
counts: what is still kept, what a unit has computed again, and gradients of maps that wait for
their layer, of skip connections among them. Ways to keep:

    none         every map that a gradient reads
    full         what each unit reads of others; its own maps are computed again
    reversible   of units that are reversible nothing but the last one's of a row; the map that
                 such a unit read is found again from what it made, and its own are computed again

The batch of images that a step was given stays, in 32 bits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hwmodel.einsum.workloads import map_gradients
from hwmodel.einsum.workloads.blocks.unit import Unit
from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.einsum.workloads.map_gradients import VIEWS
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.printable import shown
from hwmodel.spine.execution import Execution
from hwmodel.systems.training import optimizers
from hwmodel.systems.training.layers import WIDE_BYTES, Kernel, Left, Piece
from hwmodel.systems.training.stages import Stage

IMAGE = -1
IMAGE_BYTES = 4
"""Of an element of the images that a step was given."""
WAYS = ("none", "full", "reversible")
SHARED = ("add", "shift", *VIEWS)
"""Layers whose gradients are that of what they made, where they are as large."""
Spans = tuple[tuple[int, int], ...]
"""First layer of each unit, and the one behind its last."""


def check_maps(work: Training, how: Execution) -> None:
    """Refuse what is not modelled of a network of maps."""
    if not work.model.network.judges:
        return
    told = {
        "dtype": (work.precision in ("bf16", "fp16"), "16-bit products", work.precision),
        "recompute": (how.recompute in WAYS, " or ".join(WAYS), how.recompute),
        "optimizer": (
            work.optimizer not in optimizers.PRODUCTS,
            "one without products of matrices",
            work.optimizer,
        ),
        "adapters": (not work.adapters, "none", work.adapters),
        "sampled": (work.sampled == 1, "1", work.sampled),
        "host": (work.host is None, "none", work.host),
    }
    for name, (modelled, expected, found) in told.items():
        if not modelled:
            raise CoverageError(
                f"{work.name}: {name}: of networks of maps {expected} is modelled; found"
                f" {shown(found)}"
            )


def piece_of_maps(unit: Unit, units: Sequence[Unit], work: Training, how: Execution) -> Piece:
    """A unit on one device, for the images of a micro-batch."""
    network, batch = unit.network, how.micro_batch
    spans = tuple((each.start, each.end) for each in units)
    found = {way: left(network, spans, batch, way) for way in WAYS}
    place = spans.index((unit.start, unit.end))
    kernels: list[Kernel] = []
    readers = Counter(at for layer in network.layers for at in layer.inputs)
    for at in range(unit.start, unit.end):
        layer = network.layers[at]
        made = map_gradients.passes(layer, work.wide, batch, first=IMAGE in layer.inputs)
        for role in ("forward", "inputs", "weights"):
            kernels += [Kernel(each, 1, role) for each in getattr(made, role)]
        more = map_gradients.accumulated(layer, work.wide, batch)
        kernels += [Kernel(more, 1, "inputs")] * (readers[at] - 1)
    operations = float(2 * batch * sum(each.macs for each in unit.layers))
    return Piece(
        kernels=tuple(kernels),
        reduced_bytes=(),
        beside=(),
        routed_bytes=0.0,
        picks=0,
        choices=0,
        key_bytes=0.0,
        kept_bytes=found["none"][place].kept_bytes,
        scores_bytes=0.0,
        gathered_bytes=0.0,
        input_bytes=found["full"][place].kept_bytes,
        working_bytes=max(_moved_bytes(each, batch) for each in unit.layers),
        flops=operations,
        least_flops=operations,
        dense=float(sum(map(map_gradients.parameters, unit.layers))),
        experts=0.0,
        left={way: each[place] for way, each in found.items()},
    )


def paced(
    stages: Sequence[Stage], pieces: Sequence[Piece], times: Sequence[int], launch_s: float
) -> list[Stage]:
    """Units no sooner than a host launches all of them: it runs ahead where kernels are long."""

    def longer(roles: tuple[str, ...], each_s: list[float]) -> float:
        launches = sum(
            often * kernel.launches
            for often, piece in zip(times, pieces, strict=True)
            for kernel in piece.kernels
            if kernel.role in roles
        )
        took_s = sum(often * each for often, each in zip(times, each_s, strict=True))
        return max(1.0, launch_s * launches / took_s) if took_s else 1.0

    forward = longer(("forward",), [stage.forward_s for stage in stages])
    back = longer(("inputs", "weights"), [stage.inputs_s + stage.weights_s for stage in stages])
    return [
        replace(
            stage,
            forward_s=forward * stage.forward_s,
            inputs_s=back * stage.inputs_s,
            weights_s=back * stage.weights_s,
        )
        for stage in stages
    ]


def _moved_bytes(layer: Layer, batch: int) -> float:
    """What a layer reads and makes."""
    return float(WIDE_BYTES * batch * (layer.inputs_elements + layer.outputs_elements))


@lru_cache(maxsize=64)
def left(network: Network, spans: Spans, batch: int, way: str) -> tuple[Left, ...]:
    """What each unit keeps, and what its backward pass needs on top of what all keep."""
    held = _held(network, spans, way)
    kept = [0.0] * len(spans)
    for at in held.kept:
        kept[held.unit(at)] += _bytes(network, at, batch)
    for unit, (start, end) in enumerate(spans):
        if not held.again[unit]:
            several = network.layers[start:end]
            kept[unit] += sum(map_gradients.beside_bytes(each, batch) for each in several)
    kept[0] += IMAGE_BYTES * batch * network.image_elements
    total = sum(kept)
    peaks = _peaks(network, held, batch, total)
    return tuple(
        Left(kept[unit], max(0.0, peak - total), held.again[unit])
        for unit, peak in enumerate(peaks)
    )


@dataclass(frozen=True, eq=False)
class _Held:
    """Which maps a network keeps, by the places of the layers that made them, and until when.

    Attributes:
        again: units that are computed again.
        kept: map -> the first layer whose gradient, or second pass, reads it.
        inner: of each unit that is computed again, maps that it has then beside those.
    """

    spans: Spans
    again: tuple[bool, ...]
    kept: dict[int, int]
    inner: tuple[frozenset[int], ...]

    def unit(self, at: int) -> int:
        """The unit of a layer; of the images the first."""
        return next((u for u, (a, b) in enumerate(self.spans) if a <= at < b), 0)


def _source(network: Network, at: int) -> int:
    """The map in whose place another lies that is a view of it."""
    while at >= 0 and network.layers[at].kind in VIEWS:
        at = network.layers[at].inputs[0]
    return at


def _needs(network: Network, at: int) -> set[int]:
    """Maps that the gradients of a layer read."""
    inputs, own = map_gradients.reads(network.layers[at])
    return {_source(network, each) for each in (*inputs, *((at,) if own else ()))}


def _outside(network: Network, span: tuple[int, int]) -> list[int]:
    """Maps that a unit reads of others, in the order in which it does."""
    start, end = span
    read = (_source(network, at) for each in network.layers[start:end] for at in each.inputs)
    return list(dict.fromkeys(at for at in read if at < start))


def _held(network: Network, spans: Spans, way: str) -> _Held:
    reversible = [all(each.reversible for each in network.layers[a:b]) for a, b in spans]
    again = [way == "full" or (way == "reversible" and each) for each in reversible]
    outside = [_outside(network, span) for span in spans]
    found_again = {
        outside[unit][0]
        for unit, each in enumerate(again)
        if each and way == "reversible" and outside[unit]
    }
    kept: dict[int, int] = {}

    def keep(at: int, until: int) -> None:
        kept[at] = min(until, kept.get(at, until))

    for unit, (start, end) in enumerate(spans):
        if not again[unit]:
            for at in range(start, end):
                for each in _needs(network, at):
                    keep(each, at)
        elif way == "full":
            for each in outside[unit]:
                keep(each, start)
        else:
            for each in outside[unit][1:]:
                keep(each, start)
            if _source(network, end - 1) not in found_again:
                keep(_source(network, end - 1), start)
    inner = [
        frozenset(
            {each for at in range(start, end) for each in _needs(network, at)}
            | (set(outside[unit][:1]) if way == "reversible" else set[int]())
        )
        - kept.keys()
        if again[unit]
        else frozenset[int]()
        for unit, (start, end) in enumerate(spans)
    ]
    return _Held(spans, tuple(again), kept, tuple(inner))


def _bytes(network: Network, at: int, batch: int) -> float:
    """Of a map, in 16 bits where it says no format; of the images so."""
    if at < 0:
        return float(WIDE_BYTES * batch * network.image_elements)
    layer = network.layers[at]
    width = float(bytes_of(layer.written)) if layer.written else WIDE_BYTES
    return width * batch * layer.outputs_elements


def _peaks(network: Network, held: _Held, batch: int, total: float) -> list[float]:
    """The most that is held at a time in each unit's backward pass: kept, again, gradients."""
    peaks = [0.0] * len(held.spans)
    gradients: dict[int, int] = {}  # map -> which buffer its gradient lies in
    sizes: dict[int, float] = {}  # buffer -> bytes
    kept = total
    for at in reversed(range(len(network.layers))):
        layer, unit = network.layers[at], held.unit(at)
        made = gradients.setdefault(at, len(sizes))
        sizes.setdefault(made, _bytes(network, at, batch))
        for source in layer.inputs:
            if source < 0:
                continue
            size = _bytes(network, source, batch)
            shared = layer.kind in SHARED and size == sizes[made] and source not in gradients
            buffer = made if shared else len(sizes)
            gradients[source] = buffer
            sizes.setdefault(buffer, size)
        live = sum(sizes[buffer] for buffer in set(gradients.values()))
        again = sum(_bytes(network, each, batch) for each in held.inner[unit])
        peaks[unit] = max(peaks[unit], kept + live + again)
        del gradients[at]
        kept -= sum(
            _bytes(network, each, batch) for each, until in held.kept.items() if until == at
        )
        if not held.again[unit]:
            kept -= map_gradients.beside_bytes(layer, batch)
    return peaks
