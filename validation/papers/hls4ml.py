"""hls4ml designs: cycles and resources of synthesised networks.

Of wa-hls4ml (arXiv 2511.05615) two dense layers each, resource strategy, linear activations, Vitis
for an Alveo U250 at 5 ns; activations of 16 bits. Block RAM, of which that table says nothing here,
is that of reports that others released with their designs, joined by streams: an autoencoder of
seven convolutions in 32 bits by Vivado HLS, and five convolutions of a pulse by Vitis HLS.
"""

from itertools import pairwise

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.einsum.workloads.patches import patched
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "hls4ml (wa-hls4ml)"
SOURCE = "released table of synthesised designs, two dense layers"
CLOCK_HZ = 200e6
DESIGNS = (
    ((80, 24, 120), 6, 1024, (960, 960), 1923, 0, 15596, 10075),
    ((104, 64, 120), 16, 4093, (3328, 3840), 7171, 4, 25495, 15098),
    ((40, 88, 112), 8, 4093, (3520, 4928), 8451, 3, 20885, 15368),
)
"""Widths, weight bits, target reuse factor; reuse factors built, cycles at best, DSP slices, LUTs,
flip-flops."""
FABRIC = 0.2
RAM = 0.02


def designs(given: Given) -> tuple[Claim, ...]:
    """Reuse factors, cycles and slices of each design, exactly; LUTs and flip-flops nearly."""
    board = given.device("u250").but(clock_hz=CLOCK_HZ)
    found: list[Claim] = []
    for widths, bits, target, reuse, cycles, slices, luts, flip_flops in DESIGNS:
        name = f"{'-'.join(map(str, widths))}, {bits} bits"
        wanted = given("target of reuse", target, target // 4)
        stored = f"int{given('bits of a weight', bits, 16 if bits < 16 else 6)}"
        moved = f"int{given('bits of an activation', 16, 8)}"
        layers = tuple(
            Stage(gemm(M=1, K=a, N=b, dtype=moved, weight_dtype=stored, name=f"{a}-{b}"))
            for a, b in pairwise(widths)
        )
        made = predict(Stack(name, layers), board, kernel=f"hls4ml-{wanted}")
        built, ours = made.parts[0].tile, float(made.time_s * CLOCK_HZ)
        used = built.resources
        found += [
            *(
                Claim(SYSTEM, f"{name}: reuse of {a}-{b}", factor, ours_factor, 0.0, SOURCE)
                for (a, b), factor, ours_factor in zip(
                    pairwise(widths), reuse, built.reuse, strict=True
                )
            ),
            Claim(SYSTEM, f"{name}: cycles", cycles, ours, EXACT, SOURCE),
            Claim(SYSTEM, f"{name}: DSP slices", slices, used["dsp"], 0.0, SOURCE),
            *(
                Claim(
                    *(SYSTEM, f"{name}: {what}", published, used[kind], FABRIC, SOURCE),
                    within="what synthesis merges and moves has no law",
                )
                for what, published, kind in (
                    ("LUTs", luts, "lut"),
                    ("flip-flops", flip_flops, "ff"),
                )
            ),
        ]
    return tuple(found)


class Layers:
    """A network, layer after layer, each on the last one's map; windows keep a side's length."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.size = height, width, channels
        self.made: list[Layer] = []
        self.map = self.size

    def add(
        self,
        kind: str,
        filters: int = 0,
        *,
        kernel: int = 1,
        stride: int = 1,
        scale: int = 1,
    ) -> str:
        """One more layer; returns its name. A side of one place stays so."""
        high, wide, deep = self.map
        out = [side if side == 1 else side * scale // stride for side in (high, wide)]
        name, narrow = f"{len(self.made)}.{kind}", wide == 1
        self.map = out[0], out[1], filters or deep
        self.made.append(
            Layer(
                *(name, kind, (len(self.made) - 1,), high, wide, deep, *self.map),
                kernel=kernel,
                kernel_width=1 if narrow else 0,
                stride=stride,
                stride_width=1 if narrow else 0,
            )
        )
        return name

    def stack(self, name: str) -> Stack:
        """The network as a workload."""
        stages = tuple(Stage(layer.cascade("int16")) for layer in self.made)
        return Stack(name, stages, layers=patched(Network(name, *self.size, tuple(self.made))))


AUTOENCODER = "ChiRuiChen/AutoEncoder_hls4ml at dd6f3c2: report of Vivado HLS 2019.2"
PULSES = "SpAllen0726/HG-DREAM-Pulse-Detection-Project at aeae63d: report of Vitis HLS 2023.1"
HALVES = 2
"""Halves of block RAMs, of which reports speak, in a block."""


def autoencoder(given: Given) -> tuple[Claim, ...]:
    """Block RAM and slices of an autoencoder, 32 x 32, convolutions of 3 x 3, 7 times."""
    made = Layers(32, 32, 1)
    for filters, then in ((8, "down"), (4, "down"), (4, "down"), (4, "up"), (4, "up"), (8, "up")):
        made.add("conv", filters, kernel=3)
        made.add("activation")
        made.add("maximum", stride=2) if then == "down" else made.add("move", scale=2)
    made.add("conv", 1, kernel=3)
    made.add("activation")
    bits = given("bits of the autoencoder", 32, 16)
    reuse = {
        0: 9,
        18: given("reuse of the last convolution", 72, 36),
        3: 72,
        **dict.fromkeys((6, 9, 12, 15), 36),
    }
    config = {
        "IOType": "io_stream",
        "Backend": "Vivado",
        "HLSConfig": {
            "Model": {"Precision": f"fixed<{bits},16>", "ReuseFactor": 1, "Strategy": "Resource"},
            "LayerName": {f"{at}.conv": {"ReuseFactor": factor} for at, factor in reuse.items()},
        },
    }
    found = predict(made.stack("autoencoder"), given.device("u250"), kernel=config)
    design = found.parts[0].tile
    held = sum(s.half_blocks(s.bits, apart=True) for a in design.layers for s in a.streams)
    halves = design.resources["bram"] * HALVES
    slowest = float(found.time_high_s) * given.device("u250").clock_hz
    name = "autoencoder of seven convolutions"
    return (
        Claim(SYSTEM, f"{name}: halves of block RAMs in FIFOs", 254, held, 0.0, AUTOENCODER),
        Claim(
            *(SYSTEM, f"{name}: halves of block RAMs", 285, halves, RAM, AUTOENCODER),
            within="weights that share leading bits are stored narrower",
        ),
        Claim(
            *(SYSTEM, f"{name}: DSP slices", 118, design.resources["dsp"], 0.15, AUTOENCODER),
            within="weights whose values are narrower than their format take fewer",
        ),
        *(
            Claim(
                *(SYSTEM, f"{name}: {what}", published, design.resources[kind], 0.2, AUTOENCODER),
                within="control of FIFOs was read off this report",
                cause="registers of FIFOs have no law here" if kind == "ff" else "",
            )
            for what, published, kind in (
                ("LUTs", 33365, "lut"),
                ("flip-flops", 51414, "ff"),
            )
        ),
        Claim(
            *(SYSTEM, f"{name}: cycles at worst", 96165, slowest, 0.005, AUTOENCODER),
            within="layers before the slowest fill",
        ),
    )


def pulses(given: Given) -> tuple[Claim, ...]:
    """Block RAM of five convolutions over 80 samples: FIFOs alone, each of all channels."""
    made = Layers(80, 1, 1)
    formats: dict[str, int] = {}
    widest = given("channels of the widest convolution", 64, 32)
    for filters, stride, bits, then in (
        *((32, 1, 27, ""), (32, 2, 22, ""), (widest, 1, 22, "up"), (32, 1, 23, "")),
    ):
        formats[made.add("conv", filters, kernel=3, stride=stride)] = bits
        formats[made.add("activation")] = 6
        if then:
            formats[made.add("move", scale=2)] = 6
    formats[made.add("conv", 1)] = 20
    made.add("activation")
    config = {
        "IOType": "io_stream",
        "HLSConfig": {
            "Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"},
            "LayerName": {
                n: {"Precision": {"result": f"fixed<{b},9>"}} for n, b in formats.items()
            },
        },
    }
    board = given.device("u250").but(resources={"lut": 10**9, "ff": 10**9, "dsp": 10**6})
    found = predict(made.stack("pulses"), board, kernel=config)
    halves = found.parts[0].tile.resources["bram"] * HALVES
    return (Claim(SYSTEM, "five convolutions of a pulse: halves", 332, halves, 0.0, PULSES),)


PROGRAMS = (designs, autoencoder, pulses)
