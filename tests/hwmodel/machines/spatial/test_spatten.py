"""SpAtten: its simulator's cycles, traffic by hand, what pruning saves, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.spatial.spatten import PRUNINGS, Layer, Pruning, layer, rates
from hwmodel.machines.spatial.topk import passes_cycles
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.spine.activity import fold, totals

CHIP = device("spatten")
BITS = Pruning(key_bits=8)


def cycles(sizes: Layer, pruning: Pruning = BITS) -> float:
    return float(fold(layer(sizes, pruning, limits(CHIP)), rates(CHIP)).time_s) * 1e9


def attention(**changes: Any) -> Cascade:
    sizes: dict[str, Any] = {"batch": 1, "heads": 12, "queries": 128, "keys": 128}
    sizes |= {"head_dim": 64, "dtype": "int8"} | changes
    return hw.workloads.attention(**sizes)


@pytest.mark.parametrize(
    ("queries", "keys", "published"),
    [(128, 128, 25_079), (128, 64, 12_591), (512, 512, 394_919), (512, 256, 197_511)],
)
def test_cycles_are_those_of_the_published_simulator(
    queries: int, keys: int, published: int
) -> None:
    assert cycles(Layer(12, queries, keys, 64)) == pytest.approx(published, rel=1e-12)


def walked(queries: int, keys: int, heads: int, head_dim: int, bits: int) -> int:
    """The simulator's steps, one head after another (its top-k not used)."""
    per_line = 512 // head_dim
    lines = -(-keys // per_line)
    total = 0
    for _ in range(heads):
        for _ in ("keys", "values"):
            bursts = lines * per_line * head_dim * bits // 8 // 32
            total += -(-bursts // 16)
        total += queries * lines
    return total + (1 + 1 + 9) + (7 + 21 + 23 + 29 + 7 + lines) + 1 + 1 + (1 + 1 + 1)


@settings(max_examples=60, deadline=None)
@given(
    queries=st.integers(16, 600),
    keys=st.integers(16, 1500),
    heads=st.integers(1, 16),
    head_dim=st.sampled_from((64, 128)),
)
def test_any_size_equals_the_simulators_steps(
    queries: int, keys: int, heads: int, head_dim: int
) -> None:
    found = cycles(Layer(heads, queries, keys, head_dim))
    assert found == pytest.approx(walked(queries, keys, heads, head_dim, 8), rel=1e-12)


def test_generation_overlaps_fetching_with_computing() -> None:
    sizes = Layer(12, 1, 1024, 64)
    fetched = 12 * 2 * (1024 * 64 / 512)
    streamed = 12 * 64 * 4 / 512
    assert cycles(sizes) == pytest.approx(fetched + streamed + 103 + 128)


def test_dropped_values_are_not_fetched_and_top_k_is_charged() -> None:
    sizes = Layer(12, 64, 1000, 64)
    pruned = Pruning(values=0.25, key_bits=8)
    counts = totals(layer(sizes, pruned, limits(CHIP)))
    whole = totals(layer(sizes, BITS, limits(CHIP)))
    lines, kept_lines = 125, 32
    saved = 12 * (lines - kept_lines) * 512
    assert whole.read["dram"] - counts.read["dram"] == saved
    engine = 12 * (lines + float(passes_cycles(1000, 250, 16)) + kept_lines)
    assert counts.slots["topk"] == pytest.approx(engine)
    faster = CHIP.but(resources={"comparators": 4})
    slow = totals(layer(sizes, pruned, limits(faster))).slots["topk"]
    assert float(slow) > engine


@given(chance=st.floats(0.0, 1.0))
@settings(max_examples=20, deadline=None)
def test_low_bits_cost_their_bytes_and_another_pass_in_expectation(chance: float) -> None:
    sizes = Layer(12, 1, 1024, 64)
    one = Pruning(key_bits=6, lsb_bits=4, refetch=chance)
    never, always = (cycles(sizes, Pruning(key_bits=6, lsb_bits=4, refetch=p)) for p in (0.0, 1.0))
    assert cycles(sizes, one) == pytest.approx((1 - chance) * never + chance * always)
    low = 12 * 1024 * 64 * 4 / 8
    more = totals(layer(sizes, one, limits(CHIP))).read["dram"]
    base = totals(layer(sizes, Pruning(key_bits=6, lsb_bits=4), limits(CHIP))).read["dram"]
    assert float(more) == pytest.approx(float(base) + chance * low, rel=1e-12)


def test_energy_components_sum_to_the_total() -> None:
    for kernel in PRUNINGS:
        found = hw.predict(attention(queries=1, keys=1024), on=CHIP, kernel=kernel)
        assert sum(found.energy_by_j.values()) == pytest.approx(found.energy_j)
        assert found.bound_bytes <= found.dram_bytes_read + found.dram_bytes_written
        assert found.bound_s <= found.time_s


def test_generation_waits_for_the_dram_and_a_sentence_for_the_multipliers() -> None:
    one = hw.predict(attention(queries=1, keys=1024), on="spatten")
    many = hw.predict(attention(queries=512, keys=512), on="spatten")
    assert (one.bottleneck, many.bottleneck) == ("dram", "matrix")
    wide = CHIP.but(dram={"bandwidth": "1024 GB/s"})
    assert hw.predict(attention(queries=1, keys=1024), on=wide).time_s < one.time_s


def test_pruned_layers_take_less_of_everything() -> None:
    sizes: dict[str, Any] = {
        "layers": 12,
        "batch": 1,
        "heads": 12,
        "keys": 1024,
        "head_dim": 64,
        "queries": 1,
    }
    whole = hw.predict(hw.workloads.pruned_attention(**sizes), on=CHIP)
    pruned = hw.predict(
        hw.workloads.pruned_attention(**sizes, token_keep=0.5, head_keep=0.8, start=0.9), on=CHIP
    )
    assert pruned.time_s < whole.time_s
    assert pruned.dram_bytes_read < whole.dram_bytes_read
    assert whole.time_s == pytest.approx(
        12 * hw.predict(attention(queries=1, keys=1024), on=CHIP).time_s
    )


def test_a_sweep_is_its_points() -> None:
    keys = np.array([100.0, 512.0, 1000.0])
    swept = hw.predict(attention(keys=keys, queries=1), on=CHIP, kernel="gpt-2-small").time_s
    points = [
        float(hw.predict(attention(keys=int(k), queries=1), on=CHIP, kernel="gpt-2-small").time_s)
        for k in keys
    ]
    np.testing.assert_allclose(swept, points)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dtype": "bf16"}, "int8"),
        ({"causal": True}, "mask"),
        ({"value_dim": 32}, "value_dim"),
    ],
)
def test_what_the_chip_cannot_do_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(CoverageError, match=words):
        hw.predict(attention(**changes), on=CHIP)


def test_other_workloads_kernels_and_shares_are_refused() -> None:
    with pytest.raises(CoverageError, match="expected attention"):
        hw.predict(hw.workloads.gemm(64, 64, 64, dtype="int8"), on=CHIP)
    with pytest.raises(UnknownNameError, match="dense"):
        hw.predict(attention(), on=CHIP, kernel="gpt-3")
    with pytest.raises(InputError, match="head_dim"):
        hw.predict(attention(head_dim=1024), on=CHIP)
    with pytest.raises(InputError, match="share up to 1"):
        Pruning(values=1.5)
    with pytest.raises(InputError, match="12 at most"):
        Pruning(key_bits=10, lsb_bits=4)
