"""hls4ml designs: cycles of synthesised networks, resources, and what is refused."""

from itertools import pairwise

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.fpga.fabric import Dense
from hwmodel.machines.fpga.hls4ml import design, layers, least_cycles, smallest_target
from hwmodel.machines.fpga.rates import spatial_rates
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.spine.activity import fold

U250 = device("u250").but(clock="200 MHz")
# Widths, bits, target reuse factor, cycles at best, DSP slices: designs of wa-hls4ml
# (arXiv 2511.05615), synthesised by Vitis for a U250 at 5 ns.
DESIGNS = [
    ((80, 24, 120), 6, 1024, 1923, 0),
    ((104, 64, 120), 16, 4093, 7171, 4),
    ((40, 88, 112), 8, 4093, 8451, 3),
]


def chain(widths: tuple[int, ...], bits: int) -> tuple[Dense, ...]:
    pairs = pairwise(widths)
    return tuple(Dense(f"layer {n}", a, b, bits=bits) for n, (a, b) in enumerate(pairs))


@pytest.mark.parametrize(("widths", "bits", "target", "cycles", "slices"), DESIGNS)
def test_synthesised_designs_have_these_cycles(
    widths: tuple[int, ...], bits: int, target: int, cycles: int, slices: int
) -> None:
    """The fold of the design's tree at 5 ns a cycle, and its own count."""
    made = design(chain(widths, bits), target)
    folded = fold(made.activity(), spatial_rates(U250, 2, frozenset({bits})))
    assert folded.time_s == pytest.approx(cycles * 5e-9, rel=1e-12)
    assert made.cycles == cycles
    assert made.resources["dsp"] == slices


def test_the_verb_predicts_the_synthesised_design() -> None:
    net = Stack(
        "two layers",
        tuple(
            Stage(hw.workloads.gemm(M=1, N=n, K=k, dtype="int16"))
            for k, n in ((104, 64), (64, 120))
        ),
    )
    found = hw.predict(net, on=U250, kernel="hls4ml-4093")
    assert found.time_s == pytest.approx(7171 * 5e-9, rel=1e-12)
    assert found.time_high_s == pytest.approx(7173 * 5e-9, rel=1e-12)
    assert found.parts[0].counts.live["dsp"] == 4
    assert found.bottleneck == "matrix"
    assert sum(found.energy_by_j.values()) == pytest.approx(found.energy_j)


def test_luts_and_flip_flops_are_counted_and_checked() -> None:
    """64 results of 16 x 16 bits and 6 levels: 38 bits, four LUTs each; 64 (4 x 16 + 16) FF."""
    product = hw.workloads.gemm(M=1, N=64, K=64, dtype="int16")
    (row,) = hw.predict(product, on=U250, kernel="hls4ml-1024").by_layer
    assert (row["lut"], row["ff"], row["uram"]) == (9728, 5120, 0)
    with pytest.raises(CapacityError, match="needs 9,728 lut of 9,727"):
        hw.predict(product, on=U250.but(resources={"lut": 9727}), kernel="hls4ml-1024")
    with pytest.raises(CapacityError, match="needs 5,120 ff of 5,119"):
        smallest_target((Dense("a", 64, 64),), limits(U250.but(resources={"ff": 5119})))
    record = hw.map(product, on=U250).record()
    assert record["lut"] == sum(layer["lut"] for layer in record["layers"])
    assert "synthesis moves weights to LUTs" in str(hw.map(product, on=U250))


def test_a_design_says_what_it_takes_of_what_there_is() -> None:
    product = hw.workloads.gemm(M=1, N=64, K=64, dtype="int16")
    found = hw.predict(product, on=U250, kernel="hls4ml-1024")
    (told,) = (text for text in found.assumptions if text.startswith("takes"))
    assert told.startswith("takes 4 dsp of 12,288, 9,728 lut (6,810 to 13,619) of 1,728,000")
    assert "depth cycles" in str(found)


def test_wide_numbers_take_several_slices_and_their_joules() -> None:
    """64 x 64 weights at reuse 1024: 4 multipliers, of 4 slices each at 32 bits."""
    narrow, wide = (
        hw.predict(
            hw.workloads.gemm(M=1, N=64, K=64, dtype=dtype), on=U250, kernel="hls4ml-1024"
        ).parts[0]
        for dtype in ("int16", "int32")
    )
    assert (narrow.counts.live["dsp"], wide.counts.live["dsp"]) == (4, 16)
    assert wide.energy_by_j["dsp"] == pytest.approx(4 * narrow.energy_by_j["dsp"])
    mixed = Dense("mixed", 64, 64, bits=8, input_bits=32)
    assert design((mixed,), 1024).resources["dsp"] == 8
    assert least_cycles((mixed,), limits(U250.but(resources={"dsp": 8}))) == 1024 + 3


def test_convolutions_run_at_once_and_the_slowest_sets_the_pace() -> None:
    """100 pixels of reuse 108 (27 x 4) against 64 of 144: 10,800 cycles of the first, and 3."""
    net = (Dense("a", 27, 16, positions=100, bits=8), Dense("b", 144, 8, positions=64, bits=8))
    made = design(net, 144)
    assert made.io == "io_stream"
    folded = fold(made.activity(), spatial_rates(U250, 2, frozenset({8})))
    assert made.reuse == (108, 144)
    assert folded.time_s == pytest.approx(10_803 * 5e-9, rel=1e-12)
    assert folded.time_s == pytest.approx(made.cycles * 5e-9, rel=1e-12)


def test_a_convolution_is_a_dense_layer_at_every_pixel() -> None:
    (found,) = layers(hw.workloads.conv2d(1, 3, 16, 12, 12, 3, dtype="int8"))
    assert (found.fan_in, found.fan_out, found.positions, found.bits) == (27, 16, 100, 8)
    assert found.macs == 27 * 16 * 100


def test_the_least_reuse_that_fits_needs_no_more_than_there_is() -> None:
    """64 x 64 weights of 16 bits on 1,000 DSP slices: reuse 4 would take 1,024, 8 takes 512."""
    small = U250.but(resources={"dsp": 1000})
    made = smallest_target(chain((64, 64), 16), limits(small))
    assert made.resources["dsp"] == 512
    assert made.reuse == (8,)


def test_what_does_not_fit_says_what_is_short() -> None:
    tiny = U250.but(resources={"dsp": 3})
    with pytest.raises(CapacityError, match="needs 4 dsp of 3; take a larger reuse factor"):
        hw.predict(
            Stack("net", (Stage(hw.workloads.gemm(M=1, N=64, K=64, dtype="int16")),)),
            on=tiny,
            kernel="hls4ml-1024",
        )
    with pytest.raises(CapacityError, match="needs 2 dsp of 1"):
        smallest_target(chain((4, 4, 4), 16), limits(U250.but(resources={"dsp": 1})))


def test_what_hls4ml_does_not_unroll_is_refused() -> None:
    attention = hw.workloads.attention(batch=1, heads=1, queries=4, keys=4, head_dim=4)
    with pytest.raises(CoverageError, match="of which 0 are weights"):
        hw.predict(attention, on=U250, kernel="hls4ml")
    with pytest.raises(CoverageError, match="found one in groups"):
        layers(hw.workloads.conv2d(1, 8, 8, 6, 6, 3, groups=8, dtype="int8"))
    with pytest.raises(CoverageError, match="expected one size, found an array"):
        layers(hw.workloads.gemm(M=1, N=hw.logspace(16, 64), K=8, dtype="int8"))
    with pytest.raises(
        CoverageError, match="expected a product with a tensor whose role is weight"
    ):
        layers(hw.workloads.softmax(rows=4, cols=4))
