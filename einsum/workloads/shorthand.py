"""Networks in shorthand: a word a layer, a line a network, as a framework runs them.

`networks/timm.txt` has those of pytorch-image-models (timm 1.0.31, Apache-2.0) that no file of
blocks has, one a line:

    resnet10t 176 any conv24k3s2p1 norm relu (conv64k1 norm relu)*2 ... mean dense1000b

the name, the side of its images, the sides at which the line holds (`any`, or one), and its words,
each on the map of the word before. `<2` reads the map of two words before (`add<9<1` two of them),
`( )*3` stands for three times the words between. Words are

    conv64k3s2p1d1g1  filters, kernel (`1x7`), stride, zeros at each side, dilation, groups
    dwk3s1p1          the same, depthwise; maxk3s2p1c and avgk2s2 pool (`c`: sizes round up)
    dense64b          a product at every place, `b` with a bias; shift, gain, bias: parameters added
                      and multiplied
    att12             12 heads over the places of a map of queries, keys and values;
                      att12:4x49x49x32 of 4 windows, 49 queries, 49 keys, 32 numbers each (x64: of
                      a value)
    matmul:3x49x49x32 three products of two maps, 49 by 49 over 32
    tokens1, pad1x1, up2, cat, join, move
                      vectors, rows and columns, rates, channels, places that are joined; a copy
    view:96           the same map seen with 96 channels (view:7x7x96: of 7 x 7 places); no kernel
    norm, ln, gn32, softmax, power, mean, sum, add, mul, scale, relu, gelu, silu, sigmoid, ...
                      of a map; narrowln and narrowgn32 are timm's norms in 16 bits (autocast)

Anything may say the map that it makes (`move:49x1x96`). A line without `any` holds at its side.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from hwmodel.einsum.workloads.layer import FUNCTIONS, Layer, Network
from hwmodel.quantity.errors import CoverageError, InputError

FILE = Path(__file__).parent / "networks" / "timm.txt"
ANY = "any"
KINDS: Mapping[str, str] = {
    **{"conv": "conv", "dw": "depthwise", "max": "maximum", "avg": "average", "dense": "dense"},
    **{"att": "attention", "matmul": "matmul", "tokens": "tokens", "cat": "concat"},
    **{"join": "concat", "move": "move", "copy": "move", "pad": "move", "up": "move"},
    **{"norm": "norm", "ln": "layernorm", "gn": "groupnorm", "softmax": "softmax"},
    **{"narrowln": "layernorm", "narrowgn": "groupnorm"},
    **{"mean": "mean", "sum": "mean", "add": "add", "mul": "multiply", "scale": "scale"},
    **{"shift": "shift", "gain": "gain", "bias": "gain", "power": "power"},
    **dict.fromkeys(FUNCTIONS, "activation"),
}
"""Word -> kind of layer; `view` is none."""

SIDES = "".join(rf"(?:{each}(\d+)(?:x(\d+))?)?" for each in "kspd")
"""Kernel, stride, zeros and dilation, down and across."""
WORD = re.compile(
    rf"(view|{'|'.join(KINDS)})(\d*)(?:x(\d+))?{SIDES}(?:g(\d+))?([bc]?)(?::([\dx]+))?((?:<\d+)*)"
)
Shape = tuple[int, int, int]
"""Height, width and channels of a map."""
Pair = tuple[int, int]


@lru_cache(maxsize=1)
def names() -> Mapping[str, Mapping[str, tuple[int, str]]]:
    """Network -> side at which its line holds -> its own side and its words."""
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, own, side, words = line.split(" ", 3)
            found.setdefault(name, {})[side] = int(own), words
    return found


@lru_cache(maxsize=256)
def network(name: str, resolution: int | None = None, classes: int | None = None) -> Network:
    """A network of the file at a side; `CoverageError` for a side at which it is not known."""
    lines = names()[name]
    side = resolution or next(iter(lines.values()))[0]
    found = lines.get(str(side)) or lines.get(ANY)
    if found is None:
        raise CoverageError(
            f"cnn: resolution: {name} is known at {', '.join(lines)}, found {side}; export it at"
            " that size with torch.export and ask for the program (workload exported)"
        )
    return Network(name, side, side, 3, tuple(Words(name, side, classes).read(found[1])))


def unfolded(text: str) -> Iterator[str]:
    """All words, those of repeats as often as they stand there."""
    lists: list[list[str]] = [[]]
    for word in text.split():
        inside = word.lstrip("(")
        lists += [[] for _ in range(len(word) - len(inside))]
        plain, *closed = inside.split(")*")
        lists[-1].append(plain)
        for times in closed:
            ended = lists.pop()
            lists[-1] += ended * int(times)
    yield from lists[0]


class Words:
    """Layers so far, and what maps they made: the layer and the shape that it is seen in."""

    def __init__(self, name: str, side: int, classes: int | None) -> None:
        self.name, self.classes = name, classes
        self.layers: list[Layer] = []
        self.maps: list[tuple[int, Shape]] = [(-1, (side, side, 3))]

    def read(self, text: str) -> list[Layer]:
        """The layers of all words; raises `InputError` for one that is none."""
        words = list(unfolded(text))
        for at, word in enumerate(words):
            self.word(word, last=at == len(words) - 1)
        return self.layers

    def word(self, word: str, last: bool) -> None:
        """One more layer, or a map seen anew."""
        found = WORD.fullmatch(word)
        if not found:
            raise InputError(f"{self.name}: expected a layer in shorthand, found {word}")
        kind, count, wide, *window, groups, mark, said, back = found.groups()
        maps = [self.maps[-int(n)] for n in back.split("<")[1:]] or self.maps[-1:]
        shape = maps[0][1]
        given = tuple(int(size) for size in (said or "").split("x") if size)
        if kind == "view":
            self.maps.append(
                (maps[0][0], (*shape[:2], *given) if len(given) == 1 else shaped(given))
            )
            return
        counts = int(count or 0), int(wide or 0)
        if last and self.classes:
            if kind != "dense":
                raise CoverageError(f"cnn: classes: {self.name} ends in {word}: its own alone")
            counts = self.classes, 0
        pairs = [(int(a or least), int(b or a or least)) for a, b, least in _pairs(window)]
        seen = out = self.out(kind, counts, pairs, mark == "c", [each for _, each in maps])
        extents: tuple[int, ...] = ()
        if kind == "att":
            places = shape[0] * shape[1]
            extents = given or (1, places, places, shape[2] // 3 // counts[0])
            seen = out = (extents[0] * extents[1], 1, counts[0] * extents[-1]) if given else out
        elif kind == "matmul":
            extents = given
            seen = out = given[0] * given[1], 1, given[2]
        elif given:
            seen = out = shaped(given)
        elif kind == "sum":
            shape, out = (shape[2], 1, shape[0] * shape[1]), (1, 1, shape[0] * shape[1])
        narrow = kind.startswith("narrow")
        (kernel, across), (stride, aside), _, dilations = pairs
        self.layers.append(
            Layer(
                *(f"{len(self.layers)}.{kind}{kernel if window[0] else ''}", KINDS[kind]),
                *(tuple(each for each, _ in maps), *shape, *out),
                kernel=kernel,
                stride=stride,
                kernel_width=across if across != kernel else 0,
                stride_width=aside if aside != stride else 0,
                dilations=dilations,
                groups=counts[0] if kind.endswith("gn") else int(groups or 1),
                heads=counts[0] if kind == "att" else 1,
                function=kind if kind in FUNCTIONS else "",
                bias=mark == "b",
                narrow=narrow,
                extents=extents,
            )
        )
        self.maps.append((len(self.layers) - 1, seen))

    def out(
        self, kind: str, counts: Pair, window: Sequence[Pair], up: bool, maps: Sequence[Shape]
    ) -> Shape:
        """The map that a word makes of those that it reads."""
        height, width, channels = maps[0]
        count, wide = counts
        match kind:
            case "conv" | "dw" | "max" | "avg":
                down, across = zip(*window, strict=True)
                sides = reached(height, *down, up=up), reached(width, *across, up=up)
                return (*sides, count if kind == "conv" else channels)
            case "dense":
                return height, width, count
            case "att":
                return height, width, channels // 3
            case "tokens":
                return 1, height * width + count, channels
            case "pad":
                return height + count, width + wide, channels
            case "up":
                return height * count, width * count, channels
            case "cat":
                return height, width, sum(each[2] for each in maps)
            case "join":
                return 1, sum(each[0] * each[1] for each in maps), channels
            case "mean":
                return 1, 1, channels
            case "sum":
                return height, width, 1
            case _:
                return maps[0]


def _pairs(window: Sequence[str | None]) -> Iterator[tuple[str | None, str | None, int]]:
    """Down, across, and what both are where nothing is said, of kernel, stride, zeros, dilation."""
    return zip(window[::2], window[1::2], (1, 1, 0, 1), strict=True)


def shaped(sizes: Sequence[int]) -> Shape:
    """The map of one, two or three sizes."""
    height, width, channels = (*sizes, 1, 1)[:3]
    return height, width, channels


def reached(side: int, kernel: int, stride: int, zeros: int, dilation: int, *, up: bool) -> int:
    """Places after a window: (side + 2 zeros - reach) / stride + 1, the division down or up."""
    over = side + 2 * zeros - (kernel - 1) * dilation - 1
    return (-(-over // stride) if up else over // stride) + 1
