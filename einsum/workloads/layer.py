"""A layer of a convolutional network: sizes, multiply-accumulates, weights, and its cascade.

Maps are height x width x channels, one image at a time. A layer reads the maps of earlier layers by
position (-1: the image). Padding is "same" or whatever makes the output as large as it says: the
zeros around a map are read, and multiplied, like any other element. A convolution's MACs are

    out_height out_width filters kernel^2 channels / groups

with the channels as groups where it is depthwise, and kernel 1 on a 1 x 1 map where it is linear.
"""

from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import add, copy, multiply

WEIGHTED = ("conv", "depthwise", "linear")
KINDS = (*WEIGHTED, "add", "multiply", "activation", "mean", "average", "maximum")

_MEAN = """
SUM[c] = sum(h, w) I[h, w, c]
O[c] = SUM[c] / H / W
"""
_POOL = "tensor I[c, h, w]\nO[c, y, x] = {0}(r, s) I[c, {1}*y+r, {1}*x+s]"


@dataclass(frozen=True)
class Layer:
    """One operator; `height`, `width` and `channels` are of the first map that it reads.

    `block` counts the residual blocks of the network, for people.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    filters: int
    kernel: int = 1
    stride: int = 1
    block: int = 0

    @property
    def inputs_elements(self) -> int:
        """Elements of the first map that it reads."""
        return self.height * self.width * self.channels

    @property
    def outputs_elements(self) -> int:
        """Elements of the map that it makes."""
        return self.out_height * self.out_width * self.filters

    @property
    def weights(self) -> int:
        """Weights, biases apart."""
        if self.kind == "linear":
            return self.filters * self.inputs_elements
        fan_in = self.channels if self.kind == "conv" else 1
        return self.filters * self.kernel**2 * fan_in if self.kind in WEIGHTED else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.weights * self.out_height * self.out_width

    def needs(self, outputs: int) -> int:
        """Rows (or columns) of its input that so many rows of its output are computed from."""
        return (outputs - 1) * self.stride + self.kernel

    def cascade(self, dtype: str) -> Cascade:
        """The layer as a cascade on its map with the zeros around it."""
        name, rows = self.name, self.out_height * self.out_width
        height, width = self.needs(self.out_height), self.needs(self.out_width)
        if self.kind in ("conv", "depthwise"):
            groups = self.channels if self.kind == "depthwise" else 1
            return conv2d(
                *(1, self.channels, self.filters, height, width),
                window=self.kernel,
                stride=self.stride,
                groups=groups,
                dtype=dtype,
                out_dtype=dtype,
                name=name,
            )
        if self.kind == "linear":
            fan_in = self.inputs_elements
            return gemm(1, self.filters, fan_in, dtype=dtype, out_dtype=dtype, name=name)
        if self.kind in ("add", "multiply", "activation"):
            function = {"add": add, "multiply": multiply, "activation": copy}[self.kind]
            return function(rows, self.filters, dtype=dtype, name=name)
        if self.kind == "mean":
            sizes = {"h": self.height, "w": self.width, "c": self.channels}
            return parse(_MEAN, sizes=sizes, dtypes={"*": dtype}, name=name)
        sizes = {"c": self.channels, "h": height, "w": width}
        sizes |= {"y": self.out_height, "x": self.out_width, "r": self.kernel, "s": self.kernel}
        word = "max" if self.kind == "maximum" else "sum"
        text = _POOL.format(word, self.stride)
        return parse(text, sizes=sizes, dtypes={"*": dtype}, name=name)


@dataclass(frozen=True)
class Network:
    """A network on one image: layers in the order in which they run."""

    name: str
    height: int
    width: int
    channels: int
    layers: tuple[Layer, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights of all layers, biases apart."""
        return sum(layer.weights for layer in self.layers)

    @property
    def image_elements(self) -> int:
        """Elements of the image."""
        return self.height * self.width * self.channels
