"""FuseMax's bindings as trees of activity, by the numbers of its artifact.

MICRO 2024: 256 x 256 array, 256 lanes, 940 MHz, 400 GiB/s, batch 64.
"""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import (
    Activity,
    Overlap,
    Rates,
    Serial,
    Work,
    fold,
)

SIDE, CLOCK_HZ, BATCH = 256, 940e6, 64


MODELS = {"BERT": (12, 64), "TrXL": (16, 64), "T5": (8, 64), "XLM": (16, 128)}


LENGTHS = [2**n for n in (10, 12, 14, 16, 18, 20)]


FUSEMAX = Rates(
    operations={
        ("array_2d", "op", "fp16"): SIDE * SIDE * CLOCK_HZ,
        ("array_1d", "op", "fp16"): SIDE * CLOCK_HZ,
    },
    read={"dram": 400 * 2**30},
    slots={"stall": ("array_2d", SIDE / CLOCK_HZ)},
)


def on_2d(operations: Amount) -> Work:
    return Work(operations={("array_2d", "op", "fp16"): operations})


def on_1d(operations: Amount) -> Work:
    return Work(operations={("array_1d", "op", "fp16"): operations})


def scores(heads: int, length: int) -> int:
    """Points (b, h, m, p) of the score tensor."""
    return BATCH * heads * length**2


def binding(heads: int, dim: int, length: int) -> Activity:
    """`+Binding`: four epochs, in each of which the two arrays work side by side.

    Costs in cycles a point: exp is six multiply-adds, and one subtraction before it.
    """
    points = scores(heads, length)
    rows = points // SIDE  # points (b, h, m1, p)
    out = BATCH * heads * length * dim  # points (b, h, f, p)
    qk, lm, sln, sld, slnv = points * dim, points, 7 * points, points, points * dim
    rm, prm, spd, spnv, rd, rnv, av = rows, 7 * rows, rows, rows * dim, rows, rows * dim, out
    return Serial(
        (
            Overlap((on_2d(qk), on_2d(lm), on_1d(rd), on_1d(rnv), on_1d(av))),
            on_1d(rm),
            Overlap((on_2d(sln), on_2d(sld), on_1d(prm), on_1d(spd))),
            Overlap((on_2d(slnv), on_1d(spnv))),
        )
    )


def architecture(heads: int, dim: int, length: int) -> Activity:
    """`+Architecture`: the same work without interleaving, stalled while the array drains."""
    points = scores(heads, length)
    rows = points // SIDE
    out = BATCH * heads * length * dim
    return Serial(
        (
            Overlap((on_2d(points * (dim + 1)), on_1d(rows + out))),
            Work(slots={"stall": rows // SIDE}),
            on_1d(rows),
            Overlap((on_2d(8 * points), on_1d(8 * rows))),
            Overlap((on_2d(points * dim), on_1d(2 * rows * dim))),
        )
    )


def cascade(heads: int, dim: int, length: int) -> Activity:
    """`+Cascade`: one pass on FLAT's arrays: 2D holds the two products, 1D all the rest."""
    points = scores(heads, length)
    rows = points // SIDE
    out = BATCH * heads * length * dim
    return Overlap(
        (
            on_2d(2 * points * dim),
            on_1d(4 * points + rows * (1 + 2 + 1 + dim + 1 + dim) + out),
        )
    )


@pytest.mark.parametrize(
    ("model", "length", "traffic_bytes", "latency_s"),
    [
        ("BERT", 2**10, 402_653_184, 2.013140e-3),
        ("BERT", 2**14, 6_442_450_944, 0.465166),
        ("BERT", 2**16, 38_654_705_664, 7.402500),
        ("BERT", 2**20, 6.803228e12, 1891.827),
        ("XLM", 2**10, 1_073_741_824, 5.194077e-3),
        ("XLM", 2**20, 3.573413e13, 4862.109),
    ],
)
def test_fusemax_binding_meets_the_artifact(
    model: str, length: int, traffic_bytes: float, latency_s: float
) -> None:
    """Published latencies (artifact CSV, seven digits)."""
    tree = Overlap((binding(*MODELS[model], length), Work(read={"dram": traffic_bytes})))
    assert_allclose(fold(tree, FUSEMAX).time_s, latency_s, rtol=1e-6)


def test_fusemax_utilisation_of_the_2d_array_meets_the_artifact() -> None:
    folded = fold(binding(12, 64, 2**20), FUSEMAX)
    assert_allclose(folded.busy_s["array_2d"] / folded.time_s, 0.99264, atol=1e-5)


@pytest.mark.parametrize(("model", "cycles"), [("BERT", 458), ("T5", 458), ("XLM", 650)])
@pytest.mark.parametrize("length", LENGTHS)
def test_fusemax_architecture_is_so_many_cycles_a_score(
    model: str, cycles: int, length: int
) -> None:
    heads, dim = MODELS[model]
    unit_s = scores(heads, length) / SIDE**2 / CLOCK_HZ
    time_s = fold(architecture(heads, dim, length), FUSEMAX).time_s
    assert_allclose(time_s, cycles * unit_s, rtol=1e-12)


def test_fusemax_ablation_gains_meet_the_artifact() -> None:
    """Published arithmetic means over four models and six lengths: 2.397 and 3.026."""
    points = list(itertools.product(MODELS.values(), LENGTHS))
    flat, split, bound = (
        [float(np.asarray(fold(step(*model, length), FUSEMAX).time_s)) for model, length in points]
        for step in (cascade, architecture, binding)
    )
    gains = [a / b for a, b in zip(flat, split, strict=True)]
    assert_allclose(sum(gains) / len(points), 2.397, atol=1e-3)
    gains = [a / b for a, b in zip(split, bound, strict=True)]
    assert_allclose(sum(gains) / len(points), 3.026, atol=1e-3)
