"""Inference libraries for microcontrollers: what they keep in SRAM and Flash.

How fast each is stands in a device's calibration, as the family `mcu:<library>`. TinyEngine writes
depthwise results over their inputs; TFLM, whose arena CMSIS-NN's kernels use too, and X-CUBE-AI are
taken not to. TFLM's arena is planned as its own planner does (`planner`); of the others it is the
sum of live maps. Flash holds the int8
weights and, for every output channel, an int32 bias and a 4-byte scale; the program comes on top.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.quantity.errors import UnknownNameError

CHANNEL_BYTES = 8
"""Bias (int32) and scale (fp32) of an output channel, as TinyEngine and TFLite store them."""

PROGRAM_BYTES = 50_000
"""Derived: measured Flash of TinyEngine on the STM32H743 (521 and 830 kB, its README at 47bb283)
less weights and channels of mcunet-vww1 and mcunet-in2, 469.4 and 782.9 kB: 51.6 and 47.1 kB."""


@dataclass(frozen=True)
class Runtime:
    """A library's rule for memory: whether depthwise convolutions and sums work in place."""

    name: str
    title: str
    in_place: bool
    planned: bool = False
    """Whether the arena is as TFLM's greedy planner places buffers."""


LIBRARIES = {
    "tinyengine": Runtime("tinyengine", "TinyEngine", True),
    "x-cube-ai": Runtime("x-cube-ai", "X-CUBE-AI 7.3.0", False),
    "cmsis-nn": Runtime("cmsis-nn", "CMSIS-NN", False, planned=True),
    "tflm": Runtime("tflm", "TensorFlow Lite Micro, reference kernels", False, planned=True),
}


def library(kernel: str | None) -> Runtime:
    """A library by name, TinyEngine where none is asked for; raises `UnknownNameError`."""
    name = kernel or "tinyengine"
    if name not in LIBRARIES:
        raise UnknownNameError("kernel library of a microcontroller", name, LIBRARIES)
    return LIBRARIES[name]


def stored_bytes(layer: Layer) -> int:
    """Bytes of Flash that a layer's weights, biases and scales take."""
    by_channel = layer.weights or layer.kind in ("norm", "gain", "shift", "layernorm")
    return layer.weights + (CHANNEL_BYTES * layer.filters if by_channel else 0)


def flash_bytes(network: Network) -> int:
    """Weights, biases and scales of a network, and the program."""
    return sum(map(stored_bytes, network.layers)) + PROGRAM_BYTES
