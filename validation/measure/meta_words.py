"""What a network computes on an image of meta tensors, a word a kernel (`shorthand.py`).

A network is run once without data: every call that ends in a kernel becomes a word, views only say
in which shape a map is read next. Parameters of a network (biases of positions, masks) are no maps.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hwmodel.quantity.errors import CoverageError

IMAGES = 2
"""Images of the batch: of one alone torch copies less."""
VIEWS = (
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "alias"),
    *("unsqueeze", "squeeze", "expand", "slice", "select", "split", "split_with_sizes", "detach"),
    *("unsafe_split", "unbind", "as_strided", "unfold", "_to_copy"),
)
MAPS = {
    **{name: name for name in ("relu", "silu", "gelu", "sigmoid", "hardswish", "tanh")},
    **dict.fromkeys(("elu", "mish"), "silu"),
    **dict.fromkeys(("exp", "log", "pow", "reciprocal", "rsqrt", "softplus"), "power"),
    **dict.fromkeys(("erf", "cos", "sin"), "tanh"),
    **dict.fromkeys(
        (
            *("hardtanh", "hardsigmoid", "leaky_relu", "sqrt", "neg", "abs"),
            *("clamp", "clamp_min", "clamp_max", "square"),
        ),
        "relu",
    ),
}
"""Elementwise operator -> word: a kernel that reads a map and writes one."""
COPIES = (
    *(
        "clone",
        "copy",
        "roll",
        "index",
        "gather",
        "repeat",
        "flip",
        "index_select",
        "im2col",
        "upsample_nearest2d",
    ),
    *("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "masked_fill", "where"),
    *("pixel_shuffle", "pixel_unshuffle", "upsample_bilinear2d", "upsample_bicubic2d", "col2im"),
)
SUMS = (
    "mean",
    "sum",
    "amax",
    "var",
    "var_mean",
    "adaptive_avg_pool2d",
    "linalg_vector_norm",
    "max",
)
PAIRS = ("add", "mul", "sub", "div", "rsub", "maximum", "minimum", "lerp", "addcmul")
"""Operators on two maps, or on one and parameters."""
Shape = tuple[int, int, int]
inside = {"fast": False, "linear": False}
"""Whether a fast norm of timm runs, or a product with a bias, which keeps the format of its map."""


@torch.library.custom_op("hwmodel::attention", mutates_args=())
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention as one call, which meta tensors would take apart."""
    return made(q, v)


@attention.register_fake
def _(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return made(q, v)


def made(q: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Outputs, heads of a token side by side as flash kernels write them."""
    *outer, heads, queries, _ = q.shape
    return q.new_empty((*outer, queries, heads, v.shape[-1])).transpose(-2, -3)


class Recorder(TorchDispatchMode):
    """Words so far and the maps that they make; tensors are known by the word that wrote them."""

    def __init__(self, image: torch.Tensor) -> None:
        super().__init__()
        self.words: list[str] = []
        self.maps: list[Shape] = []
        self.image: Shape = (image.shape[2], image.shape[3], image.shape[1])
        self.writers: dict[int, int] = {id(image): -1}
        self.kept: list[Any] = [image]
        self.views: dict[Any, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Runs the call, and notes it where it reads a map."""
        found = function(*args, **(kwargs or {}))
        read = [each for each in tree_leaves((args, kwargs)) if id(each) in self.writers]
        written = [each for each in tree_leaves(found) if isinstance(each, torch.Tensor)]
        if not read or not written:
            return found
        name = function._schema.name.split("::")[1]
        plain = name.strip("_") if name not in VIEWS else name
        if name in VIEWS or plain in VIEWS:
            at = self.writers[id(read[0])]
        else:
            at = self.call(plain, args, read, written[0])
        for each in (*written, *(args[:1] if name.endswith("_") else ())):
            self.writers[id(each)] = at
            self.kept.append(each)
        return found

    def shape(self, at: int) -> Shape:
        """The map of a word (-1: the image)."""
        return self.maps[at] if at >= 0 else self.image

    def put(self, word: str, reads: Sequence[int], shape: Sequence[float]) -> int:
        """One more word."""
        back = "".join(f"<{len(self.words) - at}" for at in reads)
        self.words.append(word + ("" if back == "<1" else back))
        height, width, channels = (int(size) for size in shape)
        self.maps.append((height, width, channels))
        return len(self.words) - 1

    def same(self, word: str, at: int) -> int:
        """A word whose map is as large as the one that it reads."""
        return self.put(word, [at], self.shape(at))

    def seen(self, tensor: torch.Tensor, shape: Sequence[float], exact: bool = False) -> int:
        """The word that wrote a tensor, its map in this shape; places in order where `exact`."""
        at = self.writers[id(tensor)]
        height, width, channels = (int(size) for size in shape)
        known = self.shape(at)
        places = known[0] * known[1] == height * width and not exact
        if known == (height, width, channels) or (places and known[2] == channels):
            return at
        if places or known[:2] == (height, width):
            key, word, shape = (at, channels), f"view:{channels}", (*known[:2], channels)
        else:
            key, word = (at, height, width, channels), f"view:{height}x{width}x{channels}"
        if key not in self.views:
            self.views[key] = self.put(word, [at], shape)
        return self.views[key]

    def rows(self, tensor: torch.Tensor, cols: int) -> int:
        """The same as rows of so many numbers."""
        return self.seen(tensor, (tensor.numel() / IMAGES / cols, 1, cols))

    def plain(self, tensor: torch.Tensor) -> int:
        """The same, whatever its shape: all of the map, some of its channels, or rows."""
        at = self.writers[id(tensor)]
        height, width, channels = self.shape(at)
        numbers = tensor.numel() / IMAGES
        if numbers == height * width * channels:
            return at
        if numbers < height * width * channels and numbers % (height * width) == 0:
            return self.seen(tensor, (height, width, numbers // (height * width)))
        return self.rows(tensor, tensor.shape[-1])

    def call(self, name: str, args: Any, read: list[torch.Tensor], out: torch.Tensor) -> int:
        """The word of a call; raises `CoverageError` for one that has none."""
        numbers, narrow = out.numel() / IMAGES, "narrow" if inside["fast"] else ""
        first = read[0]
        if name == "convolution":
            return self.convolution(args, out)
        if "batch_norm" in name:
            return self.same("norm", self.seen(first, sides(first)))
        if name == "native_group_norm":
            return self.put(f"{narrow}gn{args[6]}", [self.seen(first, sides(first))], sides(first))
        if name in ("native_layer_norm", "softmax", "safe_softmax"):
            softmax = "softmax" in name
            cols = first.shape[args[1]] if softmax else prod(args[1])
            at = self.rows(first, cols)
            if not softmax and not first.is_contiguous():
                at = self.same("move", at)
            return self.same("softmax" if softmax else f"{narrow}ln", at)
        if name in ("addmm", "mm", "bmm", "baddbmm"):
            return self.product(name, args)
        if name == "attention":
            return self.attended(*args)
        if name in ("max_pool2d_with_indices", "avg_pool2d"):
            kernel, stride, zeros = (*args[1:4], *[[0]] * 3)[:3]
            up = args[5:6] if name.startswith("max") else args[4:5]
            text = window(kernel, stride or kernel, zeros) + ("c" if any(up) else "")
            at = self.seen(first, sides(first), exact=True)
            return self.put(name[:3] + text, [at], sides(out))
        if name == "adaptive_max_pool2d":
            down, across = (first.shape[at] // out.shape[at] for at in (2, 3))
            text = window((down, across), (down, across))
            return self.put("max" + text, [self.seen(first, sides(first), exact=True)], sides(out))
        if name in SUMS:
            return self.summed(first, int(numbers))
        if name in ("cat", "stack"):
            return self.joined(name, args, out)
        if name == "upsample_nearest2d" and out.shape[2] % first.shape[2] == 0:
            at = self.seen(first, sides(first))
            return self.put(f"up{out.shape[2] // first.shape[2]}", [at], sides(out))
        if name in COPIES or (name in (*MAPS, *PAIRS) and len(read) == 1):
            return self.mapped(name, read[0], args, out)
        if name in PAIRS:
            pair = sorted(read[:2], key=lambda each: -each.numel())
            reads = [self.plain(each) for each in pair]
            if prod(self.shape(reads[0])) != numbers:
                return self.written("copy", reads[:1], out)
            word = "mul" if name in ("mul", "div") else "add"
            smaller = pair[0].numel() > pair[1].numel()
            return self.put("scale" if smaller else word, reads, self.shape(reads[0]))
        raise CoverageError(f"{name} of {[tuple(each.shape) for each in read]}")

    def written(self, word: str, reads: Sequence[int], out: torch.Tensor) -> int:
        """A word whose map is said: what the result has, in rows."""
        numbers, cols = out.numel() / IMAGES, self.shape(reads[0])[2]
        cols = cols if numbers % cols == 0 else out.shape[-1]
        rows = int(numbers // cols)
        return self.put(f"{word}:{rows}x1x{cols}", reads, (rows, 1, cols))

    def mapped(self, name: str, first: torch.Tensor, args: Any, out: torch.Tensor) -> int:
        """A copy, a function, or a map joined with parameters."""
        at = self.plain(first)
        if "pad" in name and out.ndim == 4 and sides(first) == self.shape(at):
            more = [a - b for a, b in zip(out.shape[2:], first.shape[2:], strict=True)]
            return self.put(f"pad{more[0]}x{more[1]}", [at], sides(out))
        if out.numel() / IMAGES != prod(self.shape(at)):
            return self.written("move" if name in COPIES else "copy", [at], out)
        if name in COPIES:
            return self.same("move", at)
        if name in MAPS:
            return self.same(MAPS[name], at)
        others = [each for each in args if isinstance(each, torch.Tensor) and each is not first]
        if all(each.ndim == 0 for each in others):  # a number, which widens nothing
            return self.same("relu", at)
        if inside["linear"]:
            return self.same("shift", at)
        return self.same("gain" if name in ("mul", "div") else "bias", at)

    def product(self, name: str, args: Any) -> int:
        """A product with weights, or of two maps."""
        left, right = args[1:3] if name in ("addmm", "baddbmm") else args[:2]
        mine = [id(each) in self.writers for each in (left, right)]
        if all(mine):
            if left.ndim == 2:
                raise CoverageError("a product of two maps of all images")
            many, rows, inner = left.shape
            columns = right.shape[2]
            reads = sorted({self.plain(left), self.plain(right)})
            text = f"matmul:{many // IMAGES}x{rows}x{columns}x{inner}"
            return self.put(text, reads, (many // IMAGES * rows, 1, columns))
        tensor, filters = (left, right.shape[-1]) if mine[0] else (right, left.shape[-2])
        inner = left.shape[-1]
        at = self.rows(tensor, inner)
        return self.put(
            f"dense{filters}{'b' if name == 'addmm' else ''}", [at], (*self.shape(at)[:2], filters)
        )

    def attended(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> int:
        """Attention of so many windows of an image."""
        *outer, heads, queries, size = q.shape
        windows, keys, value = prod(outer) // IMAGES, k.shape[-2], v.shape[-1]
        reads = sorted({self.writers[id(each)] for each in (q, k, v) if id(each) in self.writers})
        height, width, channels = self.shape(reads[0])
        if (len(reads), windows, queries, size) == (1, 1, keys, value) and (
            height * width == queries and channels == 3 * heads * size
        ):
            return self.put(f"att{heads}", reads, (height, width, heads * size))
        text = f"att{heads}:{windows}x{queries}x{keys}x{size}" + f"x{value}" * (value != size)
        return self.put(text, reads, (windows * queries, 1, heads * value))

    def summed(self, first: torch.Tensor, numbers: int) -> int:
        """A mean, a sum, a maximum over some of a map."""
        at = self.writers[id(first)]
        height, width, channels = self.shape(at)
        whole = first.numel() / IMAGES == height * width * channels
        if whole and numbers == channels:
            return self.put("mean", [at], (1, 1, channels))
        if first.ndim == 4 and numbers == first.shape[1]:
            return self.put("mean", [self.seen(first, sides(first))], (1, 1, numbers))
        if whole and numbers == height * width:
            return self.put("sum", [at], (height, width, 1))
        return self.put("mean", [self.rows(first, numbers)], (1, 1, numbers))

    def joined(self, name: str, args: Any, out: torch.Tensor) -> int:
        """Maps joined by channels or places, or with parameters."""
        parts = args[0]
        reads = [self.plain(each) for each in parts if id(each) in self.writers]
        shapes = [self.shape(at) for at in reads]
        height, width, channels = shapes[0]
        numbers = out.numel() / IMAGES
        if len(reads) < len(parts) and numbers % channels == 0:
            more = int(numbers // channels) - height * width
            return self.put(f"tokens{more}", reads[:1], (1, height * width + more, channels))
        across = sum(each[2] for each in shapes)
        dim = (args[1] if len(args) > 1 else 0) % out.ndim
        places = (
            out.ndim == 3 and dim == 1 and out.shape[1] == len(reads) * height * width > len(reads)
        )
        alike = all(each[:2] == (height, width) for each in shapes)
        if name == "cat" and out.ndim > 2 and alike and out.shape[dim] == across and not places:
            return self.put("cat", reads, (height, width, across))
        if name == "cat" and all(each[2] == channels for each in shapes):
            return self.put("join", reads, (1, numbers / channels, channels))
        cols = out.shape[-1]
        return self.put(f"join:{numbers // cols:.0f}x1x{cols}", reads, (numbers // cols, 1, cols))

    def convolution(self, args: Any, out: torch.Tensor) -> int:
        """A convolution of maps, its bias a word of its own."""
        tensor, weight, bias, stride, zeros, dilation, transposed, _, groups = args[:9]
        if tensor.ndim == 3:  # along channels: a small kernel on a vector
            return self.same("relu", self.plain(tensor))
        if tensor.ndim == 5 and weight.shape[-1] == 1 == stride[-1]:  # parts that lie side by side
            tensor, out, weight = beside(tensor), beside(out), weight[..., 0]
            stride, zeros, dilation = stride[:2], zeros[:2], dilation[:2]
            self.writers[id(tensor)] = self.writers[id(args[0])]
        if transposed or tensor.ndim != 4:
            raise CoverageError(f"a convolution of {tuple(tensor.shape)}")
        filters, shape, result = weight.shape[0], sides(tensor), sides(out)
        if tensor.shape[0] == 1 and groups % IMAGES == 0:  # filters of each image's own
            filters, groups = filters // IMAGES, groups // IMAGES
        points = tuple(weight.shape[2:]) == (1, 1) and max(stride) == 1
        at = self.seen(tensor, shape, exact=not points)
        text = window(weight.shape[2:], stride, zeros, dilation)
        apart = groups == shape[2] == filters > 1
        word = f"dw{text}" if apart else f"conv{filters}{text}" + f"g{groups}" * (groups > 1)
        if tensor.shape[0] > IMAGES:  # parts of an image, one below the other
            word += f":{result[0]}x{result[1]}x{result[2]}"
        at = self.put(word, [at], result)
        return at if bias is None else self.same("shift", at)


def beside(tensor: torch.Tensor) -> torch.Tensor:
    """A map of volumes as images of its innermost side each, one below the other."""
    return tensor.permute(0, 4, 1, 2, 3).flatten(0, 1)


def sides(tensor: torch.Tensor) -> Shape:
    """Height, width and channels of a map whose channels come first."""
    height, width = (*tensor.shape[2:], 1, 1)[:2]
    images, channels = tensor.shape[:2]
    if images == 1 and channels % IMAGES == 0:  # all of them in one, channels side by side
        images, channels = IMAGES, channels // IMAGES
    if images % IMAGES or tensor.ndim > 4:
        raise CoverageError(f"a map of {tuple(tensor.shape)}")
    return images // IMAGES * height, width, channels


def window(*given: Sequence[int]) -> str:
    """Kernel, stride, zeros and dilation, what is not 1 (0) of them."""
    text = ""
    for letter, sizes, least in zip("kspd", given, (0, 1, 0, 1), strict=False):
        down, across = sizes[0], sizes[-1]
        if (down, across) != (least, least):
            text += f"{letter}{down}" + f"x{across}" * (across != down)
    return text
