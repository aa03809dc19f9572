"""A tensor arena as TensorFlow Lite Micro plans it: buffers placed greedily, the largest first.

Every map is a buffer that lives from the operator that makes it to the last that reads it, sizes
rounded up to 16 bytes. Buffers are placed in descending order of size (of equal ones the later
first), each at the lowest gap among those placed that live at the same time: `GreedyMemoryPlanner`
of tensorflow/tflite-micro (greedy_memory_planner.cc, read at 17bebc0). Nothing is in place, and
gaps can be left over, so that a plan takes as many bytes as are live at once, or more. A file runs
as it is: operators that pad, transpose or requantise a map before a layer copy it, in a step of
their own. At the arena's other end kernels keep an int32 multiplier and a shift of each channel
(conv.cc, depthwise_conv.cc); scratch buffers and the interpreter's other structures are left out.
Image and answer have a byte an element, as all maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hwmodel.einsum.workloads.layer import Layer
from hwmodel.einsum.workloads.patches import Patched
from hwmodel.machines.mcu.arena import Held
from hwmodel.machines.mcu.libraries import Runtime

CHANNEL_BYTES = 8
"""Of a channel of a layer with weights, at the arena's other end: a multiplier and a shift."""

ALIGNMENT = 16
"""Bytes that sizes and offsets are multiples of (MicroArenaBufferAlignment)."""


@dataclass(frozen=True)
class Buffer:
    """Bytes that are needed from one step to another, both included."""

    name: str
    bytes: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        """Whether both live in some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placed:
    """A buffer with its first byte in the arena."""

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.buffer.bytes


def greedy(buffers: Sequence[Buffer], alignment: int = ALIGNMENT) -> tuple[Placed, ...]:
    """Every buffer's place, in the order in which they are given."""
    order = sorted(range(len(buffers)), key=lambda at: (-_up(buffers[at].bytes, alignment), -at))
    placed: dict[int, Placed] = {}
    for at in order:
        wanted = buffers[at]
        alive = sorted(
            (each for each in placed.values() if each.buffer.meets(wanted)),
            key=lambda each: each.offset,
        )
        offset = 0
        for each in alive:
            if each.offset - offset >= _up(wanted.bytes, alignment):
                break
            offset = max(offset, _up(each.end, alignment))
        placed[at] = Placed(wanted, offset)
    return tuple(placed[at] for at in range(len(buffers)))


def buffers(schedule: Patched) -> tuple[Buffer, ...]:
    """The image, the map of each layer, and the copies before it, of one byte an element.

    A layer has two steps (`steps`): its inputs are copied, where the file does so, and it runs.
    Patch by patch, the image and the fused layers' maps are a tile's, and the last one's map is
    whole, from the first step on. The network's last map stays to the end.
    """
    layers, tiles = (*schedule.tiles, *schedule.rest), schedule.tiles
    last = dict.fromkeys(range(-1, len(layers)), 0)
    copies: list[Buffer] = []
    for at, layer in enumerate(layers):
        copying, running = steps(at)
        for source, copied in zip(layer.inputs, _copied(layer), strict=True):
            last[source] = max(last[source], copying if copied else running)
            if copied:
                copies.append(Buffer(f"copy for {layer.name}", copied, copying, running))
    end = len(layers) - 1
    given = tiles[0].inputs_elements if tiles else schedule.network.image_elements
    found = [Buffer("image", given, 0, last[-1])]
    for at, layer in enumerate(layers):
        whole = bool(tiles) and at == len(tiles) - 1
        made = schedule.network.layers[at] if whole else layer
        _, running = steps(at)
        until = steps(end)[1] if at == end else max(running, last[at])
        found.append(Buffer(layer.name, made.outputs_elements, 0 if whole else running, until))
    return (*found, *copies)


def steps(at: int) -> tuple[int, int]:
    """The steps of a layer by its place: in which its inputs are copied, in which it runs."""
    return 2 * at, 2 * at + 1


def copied_elements(layer: Layer) -> int:
    """Elements that a file's own operators copy before a layer."""
    return sum(layer.copied)


def _copied(layer: Layer) -> tuple[int, ...]:
    return layer.copied or (0,) * len(layer.inputs)


def plan(schedule: Patched) -> tuple[Placed, ...]:
    """Where each buffer of a schedule lies."""
    return greedy(buffers(schedule))


def needed_bytes(schedule: Patched, held: Sequence[Held], used: Runtime) -> int:
    """Bytes of the arena under a library: of its plan and behind it, or most that live at once."""
    if used.planned:
        return size(plan(schedule)) + kept_bytes(schedule)
    return max(each.bytes for each in held)


def kept_bytes(schedule: Patched) -> int:
    """Bytes that kernels keep at the arena's other end, from first to last."""
    layers = schedule.network.layers
    return CHANNEL_BYTES * sum(layer.filters for layer in layers if layer.weights)


def alive(placed: Sequence[Placed], at: int) -> list[list[Placed]]:
    """Buffers that live in each of the two steps of a layer."""
    return [[p for p in placed if p.buffer.first <= step <= p.buffer.last] for step in steps(at)]


def size(plan: Sequence[Placed]) -> int:
    """Bytes of the whole arena."""
    return max((_up(each.end, ALIGNMENT) for each in plan), default=0)


def _up(count: int, alignment: int) -> int:
    return -(-count // alignment) * alignment
