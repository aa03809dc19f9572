"""Least traffic: against footprints counted by hand, walks of small schedules, and the theorem."""

import itertools
import math
import time
from types import MappingProxyType

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel
from hwmodel.bounds.bound import bound, bound_of, boundaries
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import moe
from hwmodel.einsum.workloads.rows import copy, softmax
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Limits, limits


def machine(**capacity_bytes: int) -> Limits:
    return Limits(4, MappingProxyType(capacity_bytes), 2048, 32, 65536, 0)


def test_the_fast_memory_of_an_h200_is_its_caches_and_registers_together() -> None:
    """60 MiB of L2; 132 processors with 256 KiB of registers and at least 227 KiB of shared."""
    found = dict(boundaries(limits(device("h200"))))
    assert [*found] == ["dram", "l2", "shared"]
    least = 60 * 2**20 + 132 * (256 + 227) * 1024
    most = 60 * 2**20 + 132 * (256 + 256) * 1024
    assert least <= found["dram"] <= most
    assert found["dram"] - found["l2"] == 60 * 2**20


def test_tensor_memory_beside_the_registers_is_fast_memory_too() -> None:
    """148 processors with 256 KiB each."""
    b200 = limits(device("b200"))
    inside = dict(boundaries(b200))
    rest = sum(b200.capacity_bytes[name] for name in ("l1", "register", "l2", "shared"))
    assert inside["dram"] - rest == 148 * 256 * 1024


def test_boundaries_are_named_by_the_machine_outermost_first() -> None:
    assert list(boundaries(limits(device("peer-a3")))) == [
        ("dram", 128 * 1024 + 256 * 64),
        ("buffer", 256 * 64),
    ]


def test_inputs_are_read_and_outputs_written_once() -> None:
    found = bound(softmax(7, 30), machine(dram=2**40, l2=2**30))
    assert found.compulsory_bytes == found.dram_bytes == 2 * 7 * 30 * 2


def test_a_window_touches_only_the_keys_inside_it() -> None:
    """Queries 0..3 are the last of 100 keys, each with a window of 8: keys 89..99 are touched."""
    keys = {k for q in range(4) for k in range(100) if q + 96 - 8 < k <= q + 96}
    cascade = attention(1, 1, queries=4, keys=100, head_dim=16, causal=True, window=8)
    found = bound(cascade, machine(dram=2**40, l2=2**30))
    assert found.compulsory_bytes == 2 * 16 * (2 * 4 + 2 * len(keys))


@pytest.mark.parametrize(("tokens", "experts", "picks"), [(1, 4, 2), (3, 4, 2), (4, 5, 1)])
def test_experts_count_by_the_chance_that_a_token_meets_them(
    tokens: int, experts: int, picks: int
) -> None:
    """The mean over all outcomes of every token drawing `picks` distinct experts."""
    draws = list(itertools.combinations(range(experts), picks))
    outcomes = list(itertools.product(draws, repeat=tokens))
    touched = sum(len(set(itertools.chain(*outcome))) for outcome in outcomes) / len(outcomes)
    layer = moe(tokens, experts, picks, hidden=8, intermediate=16, routing="uniform")
    weights, rows = 3 * 8 * 16 * 2, tokens * picks * 2 * 8 * 2
    found = bound(layer, machine(dram=2**40, l2=2**30))
    assert_allclose(found.compulsory_bytes, touched * weights + rows)


def product(m: int, n: int, k: int, dtype: str = "int8") -> Cascade:
    text = "Z[m, n] = A[m, k] * B[k, n]"
    return parse(text, sizes={"m": m, "n": n, "k": k}, dtypes={"*": dtype})


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_no_blocked_product_moves_less_than_the_bound(side: int) -> None:
    """Square tiles t x t of the output stay in a memory that holds them and two vectors."""
    for tile in (t for t in (1, 2, 4, 8) if t <= side):
        memory = tile * tile + 2 * tile
        moved = 2 * side**3 / tile + side * side  # A and B for each tile, the output once
        assert bound_of(product(side, side, side), memory).bytes <= moved


@pytest.mark.parametrize(
    ("side", "dtype", "kib", "known"),
    [
        *((1024, "int8", 128, 7_340_032), (4096, "int8", 128, 402_653_184)),
        *((4096, "int8", 512, 218_103_808), (4096, "bf16", 512, 603_979_776)),
    ],
)
def test_known_mappings_of_large_products_lie_close_above(
    side: int, dtype: str, kib: int, known: int
) -> None:
    """Traffic of the best tilings that are known; the theorem of Smith and others lies below."""
    width = {"int8": 1, "bf16": 2}[dtype]
    found = bound_of(product(side, side, side, dtype), kib * 1024)
    elements = kib * 1024 / width
    published = (2 * side**3 / math.sqrt(elements) - 2 * elements) * width
    assert published < found.bytes <= known < 1.25 * found.bytes
    assert "Smith" in found.reason


def test_more_memory_never_needs_more_traffic() -> None:
    sizes = np.logspace(3, 9, 50)
    moved = np.asarray(bound_of(product(4096, 4096, 4096, "bf16"), sizes).bytes)
    assert np.all(np.diff(moved) <= 0)
    assert moved[-1] == 3 * 4096**2 * 2


def test_a_thin_product_is_bounded_by_a_mixture_of_both_kinds() -> None:
    """64 deep, 16 KiB: a resident 64 x 256 block of B needs 16 rounds of A, B and C once."""
    found = bound_of(product(4096, 4096, 64), 16 * 1024).bytes
    reached = 16 * 4096 * 64 + 4096 * 64 + 4096 * 4096
    assert 0.98 * reached < found < reached


def test_sweeps_of_sizes_and_memories_broadcast() -> None:
    sides = np.array([64.0, 512.0, 4096.0])
    memory = np.array([[4096.0], [2.0**20]])
    text = "Z[m, n] = A[m, k] * B[k, n]"
    swept = parse(text, sizes={"m": sides, "n": sides, "k": sides}, dtypes={"*": "int8"})
    found = np.asarray(bound_of(swept, memory).bytes)
    assert found.shape == (2, 3)
    for at, size in np.ndenumerate(np.broadcast_to(sides, (2, 3))):
        side = int(size)
        one = bound_of(product(side, side, side), float(memory[at[0], 0]))
        assert_allclose(found[at], one.bytes)


def test_a_bound_is_quick_enough_for_every_certificate() -> None:
    """Process time, best of several, with room for a slow machine: 0.15 ms where it was written."""
    made = product(1024, 1024, 1024)
    times: list[float] = []
    for _ in range(20):
        start = time.process_time()
        bound_of(made, 2**17)
        times.append(time.process_time() - start)
    assert min(times) < 1e-3


def test_stages_may_fuse_so_a_stack_has_its_compulsory_bytes_at_every_level() -> None:
    step = hwmodel.model("llama-3.2-1b").decode(4, 1000)
    found = bound(step, limits(device("h200")))
    assert {float(level.bytes) for level in found.levels} == {float(found.compulsory_bytes)}


def test_an_einsum_that_may_not_happen_is_bounded_by_compulsory_traffic() -> None:
    text = "Z[m, n] = A[m, k] * B[k, n] ? 0.1"
    made = parse(text, sizes={"m": 99, "n": 99, "k": 99}, dtypes={"*": "int8"})
    assert bound_of(made, 64).reason == "inputs and outputs once"


def test_an_inner_boundary_needs_no_less_than_an_outer_one() -> None:
    levels = bound(gemm(65536, 65536, 65536), limits(device("h200"))).levels
    assert [level.level for level in levels] == ["dram", "l2", "shared"]
    assert levels[0].bytes < levels[1].bytes < levels[2].bytes


def test_a_model_reads_its_weights_and_cache_once_a_step() -> None:
    model = hwmodel.model("llama-3.2-1b")
    step = bound(model.decode(4, 1000), limits(device("h200")))
    read = model.weight_bytes + model.kv_bytes(4, 1000)
    assert read <= step.dram_bytes <= 1.01 * read


def test_passes_are_told_where_there_is_more_than_one() -> None:
    form = attention(1, 1, queries=16, keys=256, head_dim=8, passes=3)
    found = bound(form, machine(dram=2**40, l2=2**30))
    assert max(found.passes.values()) == 3


def test_the_innermost_memory_is_no_boundary_unless_it_is_alone() -> None:
    levels = bound(gemm(64, 64, 64), machine(dram=2**40, l2=2**20)).levels
    assert [(level.level, level.fast_bytes) for level in levels] == [("dram", 2**20)]
    (alone,) = bound(gemm(64, 64, 64), machine(dram=2**40)).levels
    assert (alone.fast_bytes, alone.bytes) == (0, 3 * 64 * 64 * 2)


def test_second_passes_are_told_and_lone_ones_are_not() -> None:
    """Attention in two passes walks the keys twice (FuseMax); of a copy's one pass none is told."""
    form = attention(1, 1, queries=16, keys=256, head_dim=8, passes=2)
    assert bound(form, machine(dram=2**40, l2=2**30)).passes["K over m"] == 2
    assert bound(copy(10, 100), machine(dram=2**40, l2=2**30)).passes == {}


def test_a_product_of_a_matrix_with_itself_is_a_product() -> None:
    """Rows of A meet rows of A: of 4 kB, 2 n^3 / sqrt(4096) bytes and 2 n^2 at the very least."""
    text = "Z[m, n] = sum(k) A[m, k] * A[n, k]"
    sides = dict.fromkeys("mnk", 2**12)
    found = bound_of(parse(text, sizes=sides, dtypes={"*": "int8"}), 2**12)
    assert 2**37 / 2**7 <= found.bytes <= 2 * 2**36 / 2**6
