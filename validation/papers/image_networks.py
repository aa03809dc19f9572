"""Image networks: how scaling moves operations and activations, and counts of known networks.

LeYOLO (repository): operations of three sizes at two resolutions each, which grow as the pixels do,
whatever the network; a network of our own stands for theirs, whose layers were not read. Fast and
Accurate Model Scaling (arXiv 2103.06877): depth d, width w and resolution r give d w^2 r^2
operations and d w r^2 activations, here of equal convolutions that are made more, wider or larger.
SimpleNet's repository has a table of counts of other networks beside its own.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.systems.scaling import activations
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

LEYOLO, SCALING, SIMPLENET = "LeYOLO", "Fast and Accurate Model Scaling", "SimpleNet"
PAIRS = (("Nano", 320, 480, 0.66, 1.47), ("Small", 480, 640, 2.53, 4.51))
"""Size, two sides of an image, and GFLOP at each."""
FACTOR = 4
STRATEGIES = (
    ("depth", 4.0, 1.0, 1.0, 1.0),
    ("width", 1.0, 2.0, 1.0, 0.5),
    ("resolution", 1.0, 1.0, 2.0, 1.0),
)
"""What is scaled, by how much depth, width and side, and by which power of the factor activations
grow."""
COUNTED = (("resnet50", 3.87e9), ("vgg16", 15.47e9))
"""Network, multiply-accumulates."""
STRIDES = "strides are in the 3 x 3 windows here; in the 1 x 1 before them, 3.88 G come out"
BLOCKS, SIDE, FILTERS = 32, 64, 32


def macs(network: Stack, on: Hardware) -> float:
    """Multiply-accumulates of an image."""
    return float(predict(network, on).flop) / 2


def leyolo(given: Given) -> tuple[Claim, ...]:
    """Operations at the larger of two sides over those at the smaller."""
    chip, times = given.device("stm32h743"), given("sides, times", 1)
    found: list[Claim] = []
    for size, small, large, few, many in PAIRS:
        made = [cnn("mobilenetv2", resolution=side) for side in (small, large * times)]
        ours = macs(made[1], chip) / macs(made[0], chip)
        found.append(
            Claim(
                *(LEYOLO, f"{size}: GFLOP at {large} over those at {small}", many / few, ours),
                *(0.015, "repository"),
                within="the smaller is told to two digits or three",
                identity=True,
            )
        )
    return tuple(found)


def plain(depth: float, width: float, side: float, **how: Any) -> Stack:
    """Equal convolutions and a mean, as a list of layers."""
    filters, blocks, pixels = (
        round(each) for each in (FILTERS * width, BLOCKS * depth, SIDE * side)
    )
    layers = f"{{kind: conv, filters: {filters}, kernel: 3, times: {blocks}}}"
    listed = f"resolution: {pixels}\nlayers:\n  - {layers}\n  - {{kind: mean}}\n"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plain.yaml"
        path.write_text(listed, encoding="utf-8")
        return cnn(str(path), **how)


def scaling(given: Given) -> tuple[Claim, ...]:
    """Operations and activations of a network with four times the operations."""
    chip, more = given.device("stm32h743"), given("scaled, times", 1)
    base = plain(1, 1, 1)
    assert base.layers is not None
    found: list[Claim] = []
    for name, depth, width, side, power in STRATEGIES:
        made = plain(depth * more, width * more, side)
        assert made.layers is not None
        grown = activations(made.layers.network) / activations(base.layers.network)
        found += [
            Claim(
                *(
                    SCALING,
                    f"operations, {name} scaled",
                    FACTOR,
                    macs(made, chip) / macs(base, chip),
                ),
                *(0.05, "d w^2 r^2"),
                within="the first layer, whose input has three channels",
                identity=True,
            ),
            Claim(
                *(SCALING, f"activations, {name} scaled", FACTOR**power, grown, 1e-6, "d w r^2"),
                identity=True,
            ),
        ]
    return tuple(found)


def runtime(given: Given) -> tuple[Claim, ...]:
    """Seconds of a wider network over those of one with larger images, operations alike."""
    gpu, how = given.device("v100"), {"dtype": "fp16", "batch": given("batch", 64, 1)}
    wide, large = (float(predict(plain(1, *by, **how), gpu).time_s) for by in ((2, 1), (1, 2)))
    return (
        Claim(
            *(SCALING, "seconds on a V100, width scaled, of those resolution scaled", 0.5),
            *(wide / large, 0.15, "abstract: about s^0.5 against s"),
            within="time goes with activations about, and networks are others",
        ),
    )


def beside(given: Given) -> tuple[Claim, ...]:
    """Counts of networks that SimpleNet is compared with."""
    gpu, side = given.device("h200"), given("side of an image", 224)
    found: list[Claim] = []
    for name, done in COUNTED:
        network = cnn(name, resolution=side, dtype="bf16")
        found.append(
            Claim(
                *(SIMPLENET, f"{name}: multiply-accumulates", done, macs(network, gpu), 0.02),
                "repository's table",
                within="what is counted beside products",
                cause=STRIDES if name == "resnet50" else "",
            )
        )
    return tuple(found)


PROGRAMS = (leyolo, scaling, runtime, beside)
