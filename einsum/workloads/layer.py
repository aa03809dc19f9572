"""A layer of a convolutional network: sizes, multiply-accumulates, weights, and its cascade.

Maps are height x width x channels, of each image. A layer reads the maps of earlier layers by
position (-1: the image). Padding is "same" or whatever makes the output as large as it says: the
zeros around a map are read, and multiplied, like any other element. A convolution's MACs are

    out_height out_width filters kernel^2 channels / groups

with the channels as groups where it is depthwise, and kernel 1 on a 1 x 1 map where it is linear.
Maps of volumes are depth x height x width x channels. `transposed` is a convolution's transpose,
which makes sides `stride` times as long. `dense` is a product at every place; `attention` is of
`heads` heads over the places of a map (of each window of `kernel` x `kernel` places where that is
above 1), whose channels are queries, keys and values; `scale` multiplies a map by one value of each
channel, `concat` joins channels.
"""

from dataclasses import dataclass, replace
from math import gcd

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import add, copy, layernorm, multiply, softmax
from hwmodel.einsum.workloads.sliding import Side, Slide

WEIGHTED = ("conv", "depthwise", "transposed", "linear", "dense")
WINDOWED = ("conv", "depthwise", "transposed")
"""Those of them whose windows slide."""
POOLS = ("mean", "average", "maximum")
KINDS = (
    *(*WEIGHTED, *POOLS, "add", "multiply", "scale", "concat", "activation"),
    *("norm", "shift", "gain", "layernorm", "attention", "tokens", "first", "merge", "move"),
    *("groupnorm", "enlarge", "half", "cast", "softmax", "matmul", "power"),
)
"""`norm` is a batch norm at inference, a factor and a sum for each channel; `gain` is a factor
alone, `shift` a sum (a convolution's bias). `first` is the map's first place. `tokens` puts
`filters` vectors before the places of a map; `merge` makes squares of `stride` x `stride` places
one place of as many times the channels, `move` only copies a map into another order. `groupnorm`
is a norm over each of `groups` of an image's channels (an instance norm where these are all),
`enlarge` writes each place `stride` times in each direction, `half` is a view of half the channels,
`cast` is a map in another format, `matmul` multiplies two maps with each other, `power` is a power
or exponential of each number, which autocast takes in 32 bits."""

FUNCTIONS = ("relu", "silu", "gelu", "sigmoid", "hardswish", "tanh")

_MEAN = """
SUM[b, c] = sum(h, w) I[b, c, h, w]
O[b, c] = SUM[b, c] / H / W
"""
_POOL = "tensor I[b, c, h, w]\nO[b, c, y, x] = {0}(r, s) I[b, c, {1}*y+r, {2}*x+s]"
_NORM = """
tensor SCALE[c]: weight
tensor SHIFT[c]: weight
O[b, c, p] = I[b, c, p] * SCALE[c] + SHIFT[c]
"""
_GROUP = """
tensor SCALE[g, c]: weight
tensor SHIFT[g, c]: weight
SUM[b, g] = sum(c, p) I[b, g, c, p]
SQUARES[b, g] = sum(c, p) I[b, g, c, p] * I[b, g, c, p]
O[b, g, c, p] = (I[b, g, c, p] - SUM[b, g]) * rsqrt(SQUARES[b, g]) * SCALE[g, c] + SHIFT[g, c]
"""
_GAIN = "tensor G[c]: weight\nO[b, c, p] = I[b, c, p] * G[c]"
_SHIFT = "tensor G[c]: weight\nO[b, c, p] = I[b, c, p] + G[c]"
_SCALE = "O[b, c, p] = I[b, c, p] * S[b, c]"
_FUNCTION = "O[b, c, p] = {0}(I[b, c, p])"
_POWER = "O[b, c, p] = I[b, c, p] * I[b, c, p]"
_HARD = "O[b, c, p] = I[b, c, p] * max(min(I[b, c, p], 3), -3)"


@dataclass(frozen=True)
class Formats:
    """Number formats of a layer: what it reads and what it writes.

    `inside` is that of products, whose weights have it too.
    """

    read: str
    written: str
    inside: str

    @classmethod
    def of(cls, dtype: str) -> "Formats":
        """One format for all."""
        return cls(dtype, dtype, dtype)


@dataclass(frozen=True)
class Layer:
    """One operator; `height`, `width` and `channels` are of the first map that it reads.

    `block` counts the residual blocks of the network, for people; `function` is an activation's;
    `bias` says that a vector is added to the sums. `kernel` and `stride` are down and across, but
    where `kernel_width` and `stride_width` are above 0.
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
    groups: int = 1
    heads: int = 1
    function: str = ""
    bias: bool = False
    kernel_width: int = 0
    stride_width: int = 0
    dilations: tuple[int, int] = (1, 1)
    narrow: bool = False
    """A norm that computes in 16 bits under autocast, where torch's do in 32 (timm: fast norms)."""
    extents: tuple[int, ...] = ()
    """Of `attention` windows, queries, keys, numbers of a key and, where they differ, of a value;
    of `matmul` products, rows, columns, inner size: where the map does not say them."""
    copied: tuple[int, ...] = ()
    """Elements of the copy that its file makes of each map first: padded, transposed; 0: none."""
    depth: int = 1
    out_depth: int = 1
    kernel_depth: int = 1
    stride_depth: int = 1
    reversible: bool = False
    """Whether it is of a block whose input is found again from what the block made."""
    read: str = ""
    written: str = ""
    """Formats of its maps, where these differ in a network; none: that of all."""

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.kernel, self.kernel_width or self.kernel

    @property
    def steps(self) -> tuple[int, int]:
        """Strides down and across."""
        return self.stride, self.stride_width or self.stride

    @property
    def inputs_elements(self) -> int:
        """Elements of the first map that it reads."""
        return self.depth * self.height * self.width * self.channels

    @property
    def places(self) -> int:
        """Places of the map that it makes."""
        return self.out_depth * self.out_height * self.out_width

    @property
    def outputs_elements(self) -> int:
        """Elements of the map that it makes."""
        return self.places * self.filters

    @property
    def weights(self) -> int:
        """Weights, biases and norms apart."""
        if self.kind == "linear":
            return self.filters * self.inputs_elements
        fan_in = 1 if self.kind == "depthwise" else self.channels // self.groups
        taps = self.window[0] * self.window[1] * self.kernel_depth
        return self.filters * taps * fan_in if self.kind in WEIGHTED else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates with weights."""
        coarse = self.depth * self.height * self.width
        return self.weights * (coarse if self.kind == "transposed" else self.places)

    def needs(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of its input that so many of its output are computed from."""
        sides = zip((rows, columns), self.window, self.steps, self.dilations, strict=True)
        high, wide = (
            (outputs - 1) * step + (taps - 1) * gap + 1 for outputs, taps, step, gap in sides
        )
        return high, wide

    @property
    def touched(self) -> "Layer":
        """The same on the places that it reads alone: a window with gaps may pass over others."""
        shared = [gcd(*each) for each in zip(self.steps, self.dilations, strict=True)]
        if self.dilations == (1, 1) or shared == [1, 1]:
            return self
        down, across = (step // each for step, each in zip(self.steps, shared, strict=True))
        gaps = tuple(gap // each for gap, each in zip(self.dilations, shared, strict=True))
        return replace(self, stride=down, stride_width=across, dilations=gaps)

    def slide(self, batch: int, *, last: bool = False) -> Slide:
        """Its windows between the map that it reads and the one that it makes."""
        turned = self.kind == "transposed"
        read = (self.depth, self.height, self.width)
        made = (self.out_depth, self.out_height, self.out_width)
        windows = zip(
            *((made, read) if turned else (read, made)),
            (self.kernel_depth, *self.window),
            (self.stride_depth, *self.steps),
            (1, *self.dilations),
            strict=True,
        )
        flat = self.depth == self.out_depth == self.kernel_depth == 1
        sides = tuple(Side(*each) for each in windows)[1 if flat else 0 :]
        groups = self.channels if self.kind == "depthwise" else self.groups
        pair = (self.filters, self.channels) if turned else (self.channels, self.filters)
        return Slide(batch, *pair, sides, groups, last)

    def cascade(
        self, dtype: str | Formats, batch: int = 1, *, channels_last: bool = False
    ) -> Cascade:
        """The layer as a cascade on the maps of `batch` images with the zeros around them."""
        kinds = Formats.of(dtype) if isinstance(dtype, str) else dtype
        slid = self.slide(batch, last=channels_last) if self.kind in WINDOWED else None
        if slid is not None and (slid.last or len(slid.sides) > 2 or self.kind == "transposed"):
            made = slid.spreads if self.kind == "transposed" else slid.gathers
            return made(kinds.inside, kinds.written, self.name)
        if self.kind in ("conv", "depthwise"):
            groups = self.channels if self.kind == "depthwise" else self.groups
            read = self.touched
            return conv2d(
                *(batch, self.channels, self.filters),
                *read.needs(self.out_height, self.out_width),
                window=self.window[0],
                window_width=self.window[1],
                stride=read.steps,
                dilation=read.dilations,
                groups=groups,
                dtype=kinds.inside,
                out_dtype=kinds.written,
                name=self.name,
            )
        if self.kind in ("linear", "dense"):
            rows = batch * (1 if self.kind == "linear" else self.places)
            fan_in = self.inputs_elements if self.kind == "linear" else self.channels
            return gemm(
                *(rows, self.filters, fan_in),
                dtype=kinds.inside,
                out_dtype=kinds.written,
                name=self.name,
            )
        if self.kind == "attention":
            return self._attention(kinds.inside, batch)
        if self.kind == "matmul":
            many, *sizes = self.extents or (1, self.places, self.filters, self.channels)
            return gemm(
                *sizes,
                batch=batch * many,
                dtype=kinds.inside,
                out_dtype=kinds.written,
                name=self.name,
            )
        return self._elementwise(kinds, batch)

    def _attention(self, dtype: str, batch: int) -> Cascade:
        """Attention of every head over all places, or over those of each window."""
        places, windows = self.height * self.width, 1
        if self.kernel > 1:
            places, windows = self.kernel**2, -(-places // self.kernel**2)
        extents = self.extents or (windows, places, places, self.filters // self.heads)
        return attention(
            batch=batch * extents[0],
            heads=self.heads,
            queries=extents[1],
            keys=extents[2],
            head_dim=extents[3],
            value_dim=extents[-1],
            dtype=dtype,
            name=self.name,
        )

    def _elementwise(self, kinds: Formats, batch: int) -> Cascade:
        """What multiplies no matrices."""
        places = self.places
        rows, dtype, name = batch * places, kinds.written, self.name
        plain = {"add": add, "multiply": multiply, "tokens": copy, "merge": copy, "move": copy}
        plain |= {"first": copy, "enlarge": copy, "half": copy}
        plain |= {"concat": copy, "layernorm": layernorm, "softmax": softmax}
        if self.kind == "activation" and not self.function:
            plain["activation"] = copy
        if self.kind in plain:
            return plain[self.kind](rows, self.filters, dtype=dtype, name=name)
        flat = {"norm": _NORM, "gain": _GAIN, "shift": _SHIFT, "scale": _SCALE, "power": _POWER}
        flat |= {"activation": _FUNCTION}
        if self.kind in flat:
            hard = self.kind == "activation" and self.function == "hardswish"
            text = _HARD if hard else flat[self.kind].format(self.function)
            sizes = {"b": batch, "c": self.filters, "p": places}
            dtypes = {"I": kinds.read, "*": dtype}
            return parse(text, sizes=sizes, dtypes=dtypes, name=name)
        if self.kind == "groupnorm":
            each = self.filters // self.groups
            sizes = {"b": batch, "g": self.groups, "c": each, "p": places}
            inside = {"SUM": "fp32", "SQUARES": "fp32"}
            return parse(_GROUP, sizes=sizes, dtypes={"*": dtype, **inside}, name=name)
        if self.kind == "mean":
            sizes = {"b": batch, "h": self.depth * self.height, "w": self.width}
            sizes["c"] = self.channels
            return parse(_MEAN, sizes=sizes, dtypes={"*": dtype}, name=name)
        if self.kernel_depth > 1:
            return self._pooled_volume(dtype, batch)
        down, across = self.window
        high, wide = self.needs(self.out_height, self.out_width)
        sizes = {"b": batch, "c": self.channels, "r": down, "s": across, "h": high, "w": wide}
        sizes |= {"y": self.out_height, "x": self.out_width}
        word = "max" if self.kind == "maximum" else "sum"
        text = _POOL.format(word, *self.steps)
        return parse(text, sizes=sizes, dtypes={"*": dtype}, name=name)

    def _pooled_volume(self, dtype: str, batch: int) -> Cascade:
        """Pooling in three directions."""
        sides = self.slide(batch).sides
        sizes: dict[str, int] = {"b": batch, "c": self.channels}
        reads: list[str] = []
        for side, read, made, tap in zip(sides, "dhw", "zyx", "trs", strict=True):
            sizes |= {read: side.reached, made: side.coarse, tap: side.taps}
            reads.append(f"{side.step}*{made}+{tap}")
        word = "max" if self.kind == "maximum" else "sum"
        read = ", ".join(reads)
        text = f"tensor I[b, c, d, h, w]\nO[b, c, z, y, x] = {word}(t, r, s) I[b, c, {read}]"
        return parse(text, sizes=sizes, dtypes={"*": dtype}, name=self.name)


@dataclass(frozen=True)
class Network:
    """A network on one image, or volume: layers in the order in which they run.

    `stored` is the format of maps in the file that it was read from, where that says one.
    """

    name: str
    height: int
    width: int
    channels: int
    layers: tuple[Layer, ...]
    stored: str | None = None
    depth: int = 1

    @property
    def title(self) -> str:
        """Its name, with the sides of what it reads."""
        sides = (self.depth, self.height, self.width)
        return f"{self.name} at {' x '.join(map(str, sides if self.depth > 1 else sides[1:]))}"

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
        return self.depth * self.height * self.width * self.channels
