"""Attention on FuseMax, FLAT and unfused: closed forms, walks of tiles, laws, refusals.

The closed forms are those that reproduce FuseMax's published results to their last digit (MICRO
2024, arXiv 2406.10491): u is the time of one step for each tile of scores.
"""

import math

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.bounds.limit import Limit
from hwmodel.einsum.cascade import Cascade
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError
from hwmodel.spine.estimate import Estimate

BATCH, N, CLOCK, BANDWIDTH = 64, 256, 940e6, 400 * 2**30
MODELS = {"BERT": (12, 64), "TrXL": (16, 64), "T5": (8, 64), "XLM": (16, 128)}
LENGTHS = [1024 * 4**i for i in range(6)]
POINTS = [(model, length) for model in MODELS for length in LENGTHS]


def attended(model: str, length: int) -> Cascade:
    heads, dim = MODELS[model]
    return hw.workloads.attention(
        batch=BATCH, heads=heads, queries=length, keys=length, head_dim=dim
    )


def unit_s(model: str, length: int) -> float:
    return BATCH * MODELS[model][0] * length**2 / N**2 / CLOCK


def moved(estimate: Estimate) -> float:
    return float(estimate.dram_bytes_read + estimate.dram_bytes_written)


def divided_traffic(model: str, length: int, words: int) -> float:
    """Bytes with the largest divisor of P / N that fits 16 MiB."""
    heads, dim = MODELS[model]
    bound = (16 * 2**20 - 2 * N * 2 * dim) // (2 * words * N)
    tiles = length // N
    block = max(d for d in range(1, tiles + 1) if tiles % d == 0 and d <= bound)
    return 2 * BATCH * heads * (2 * dim * length + 2 * dim * length * length / (block * N))


@pytest.mark.parametrize(("model", "length"), POINTS)
def test_fusemax_meets_its_closed_form_of_time_and_traffic(model: str, length: int) -> None:
    dim = MODELS[model][1]
    estimate = hw.predict(attended(model, length), on="fusemax")
    steps = max(dim + 1, 1 + dim + dim * N / length) + 1 + 8 + dim
    assert estimate.time_s == pytest.approx(unit_s(model, length) * steps, rel=1e-9)
    assert moved(estimate) == divided_traffic(model, length, 2 * dim + 2)


@pytest.mark.parametrize(("model", "length"), POINTS)
def test_without_interleaving_each_tile_waits_for_the_array(model: str, length: int) -> None:
    dim = MODELS[model][1]
    estimate = hw.predict(attended(model, length), on="fusemax", kernel="fusemax-serial")
    steps = max(dim + 1, 1 + dim * N / length) + N + 1 + 8 + 2 * dim
    assert estimate.time_s == pytest.approx(unit_s(model, length) * steps, rel=1e-9)


@pytest.mark.parametrize(("model", "length"), POINTS)
def test_the_cascade_alone_is_bound_by_the_1d_array(model: str, length: int) -> None:
    dim = MODELS[model][1]
    machine = hw.device("flat").but(buffer={"capacity": "16 MiB"})
    estimate = hw.predict(attended(model, length), on=machine, kernel="flat-one-pass")
    steps = 4 * N + 1 + 2 + 1 + dim + 1 + dim + dim * N / length
    assert estimate.time_s == pytest.approx(unit_s(model, length) * steps, rel=1e-9)
    assert moved(estimate) == divided_traffic(model, length, 2 * dim + 2 + 2 * N)
    assert estimate.bottleneck == "vector"


@pytest.mark.parametrize(("model", "length"), [p for p in POINTS if p[0] != "XLM"])
def test_flat_meets_its_closed_form(model: str, length: int) -> None:
    heads, dim = MODELS[model]
    estimate = hw.predict(attended(model, length), on="flat")
    tensor, scores = 2 * BATCH * heads * dim * length, 2 * BATCH * heads * length**2
    if length <= 65536:
        spilled = 0 if length == 1024 else 1 / 129
        expected = tensor * (length / N + 2 * length / N + 1) + 7 * spilled * scores
    else:
        expected = tensor * (1 + 2 * length / 1024 + 1) + 4 * scores
    assert moved(estimate) == pytest.approx(expected, rel=1e-12)
    slow = max(1024 * unit_s(model, length), expected / BANDWIDTH)
    assert estimate.time_s == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(
    ("length", "kernel", "published"),
    [
        (1024, "flat-keep-values", 2684354560),
        (4096, "flat-keep-values", 54237627917.03273),
        (16384, "flat-keep-queries", 667973563909.8403),
        (65536, "flat-keep-queries", 9845122265151.012),
        (2**18, "flat-keep-queries", 598271764463616),
        (2**20, "flat-keep-queries", 9570698963976192),
    ],
)
def test_what_flat_keeps_of_xlm_gives_its_published_traffic(
    length: int, kernel: str, published: float
) -> None:
    estimate = hw.predict(attended("XLM", length), on="flat", kernel=kernel)
    assert moved(estimate) == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "length", "published_s"),
    [
        ("BERT", 1024, 0.02182357659574468),
        ("BERT", 65536, 85.60936973617021),
        ("BERT", 2**18, 1369.8699157787235),
        ("XLM", 2**18, 1830.4932210382979),
        ("XLM", 2**20, 29222.611536612767),
    ],
)
def test_unfused_attention_comes_within_its_tolerance(
    model: str, length: int, published_s: float
) -> None:
    estimate = hw.predict(attended(model, length), on="flat", kernel="unfused")
    assert estimate.time_s == pytest.approx(published_s, rel=0.0027)


@pytest.mark.parametrize(("model", "length"), POINTS[::5])
def test_energy_of_functions_and_dram_follows_from_counts(model: str, length: int) -> None:
    heads, dim = MODELS[model]
    scores = BATCH * heads * length**2
    rescaled = scores / N
    mac_j, add_j, max_j, divide_j = 17.1645e-12, 8.3395e-12, 0.028036e-12, 36.251153e-12
    estimate = hw.predict(attended(model, length), on="fusemax")
    found = estimate.energy_by_j
    assert found["mac"] == pytest.approx(
        mac_j * (scores * (2 * dim + 6) + rescaled * (6 + 1 + dim)), rel=1e-12
    )
    assert found["add"] == pytest.approx(add_j * (2 * scores + rescaled * (1 + 1 + dim)), rel=1e-12)
    assert found["max"] == pytest.approx(max_j * (scores + rescaled), rel=1e-12)
    assert found["divide"] == pytest.approx(divide_j * BATCH * heads * length * dim, rel=1e-12)
    assert found["dram"] == pytest.approx(31.2e-12 * moved(estimate), rel=1e-12)
    assert sum(found.values()) == pytest.approx(float(estimate.energy_j), rel=1e-12)
    flat = hw.predict(attended(model, length), on="flat").energy_by_j
    assert flat["exp"] == pytest.approx(94.6475e-12 * scores, rel=1e-12)
    assert flat["divide"] == pytest.approx(divide_j * scores, rel=1e-12)
    assert flat["mac"] == pytest.approx(mac_j * 2 * dim * scores, rel=1e-12)


def test_buffer_bytes_are_those_of_the_stated_accesses() -> None:
    heads, dim, length = 12, 64, 4096
    estimate = hw.predict(attended("BERT", length), on="fusemax")
    tile = BATCH * heads * dim * length * (length // N) * 2  # a tensor, once for each tile
    whole = BATCH * heads * dim * length * 2
    counts = estimate.parts[0].counts
    # QK: Q and K; SLNV: V; SPNV: RNV; at the end AV: RNV, and AV on its way out.
    assert counts.read["buffer"] == 4 * tile + 2 * whole
    # RNV for each tile; AV; Q, K and V on their way in.
    assert counts.written["buffer"] == tile + 4 * whole


def walked_tiles(queries: int, keys: int, causal: bool) -> tuple[int, int]:
    """Tiles of scores with a point to compute, and tiles of queries, looked at one by one."""
    tiles, blocks = 0, math.ceil(queries / N)
    for p in range(0, queries, N):
        last = min(p + N, queries) - 1
        tiles += sum(1 for m in range(0, keys, N) if not causal or m <= last + keys - queries)
    return tiles, blocks


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1000, 3001), (257, 256 + 9), (700, 700)])
def test_partial_tiles_take_whole_steps(queries: int, keys: int, causal: bool) -> None:
    if queries > keys:
        pytest.skip("causal attention has at least as many keys as queries")
    heads, dim = 3, 64
    work = hw.workloads.attention(
        batch=2, heads=heads, queries=queries, keys=keys, head_dim=dim, causal=causal
    )
    estimate = hw.predict(work, on="fusemax")
    tiles, blocks = walked_tiles(queries, keys, causal)
    matrix = 2 * heads * tiles * (dim + 1 + 7 + 1 + dim)
    vector = 2 * heads * (tiles * (1 + 7 + 1 + dim + 1 + dim) + blocks * dim)
    assert estimate.busy_s["matrix"] * CLOCK == pytest.approx(matrix)
    assert estimate.busy_s["vector"] * CLOCK == pytest.approx(vector)


def test_query_heads_that_share_keys_are_one_list_of_queries() -> None:
    grouped = hw.workloads.attention(
        batch=2, heads=8, kv_heads=2, queries=300, keys=1000, head_dim=64
    )
    merged = hw.workloads.attention(batch=2, heads=2, queries=1200, keys=1000, head_dim=64)
    one, other = (hw.predict(work, on="fusemax") for work in (grouped, merged))
    assert one.time_s == other.time_s
    assert moved(one) == moved(other)


def test_a_sweep_is_its_points() -> None:
    lengths = np.array([100.0, 1024.0, 5000.0, 65536.0])
    for machine, kernel in (("fusemax", None), ("flat", None), ("flat", "unfused")):
        work = hw.workloads.attention(batch=4, heads=2, queries=lengths, keys=lengths, head_dim=64)
        swept = hw.predict(work, on=machine, kernel=kernel)
        for place, length in enumerate(lengths):
            alone = hw.predict(
                work.but(queries=int(length), keys=int(length)), machine, kernel=kernel
            )
            assert np.ravel(swept.time_s)[place] == pytest.approx(float(alone.time_s))
            assert np.ravel(swept.energy_j)[place] == pytest.approx(float(alone.energy_j))
            read, written = swept.dram_bytes_read, swept.dram_bytes_written
            assert np.ravel(read + written)[place] == pytest.approx(moved(alone))


@pytest.mark.parametrize(("machine", "kernel"), [("fusemax", None), ("flat", None)])
def test_more_of_anything_is_never_slower_and_never_beats_the_bound(
    machine: str, kernel: str | None
) -> None:
    work, base = attended("BERT", 65536), hw.device(machine)
    before = hw.predict(work, on=base, kernel=kernel)
    faster = hw.predict(work, on=base.but(dram={"bandwidth": "1 TB/s"}), kernel=kernel)
    larger = hw.predict(work, on=base.but(buffer={"capacity": "128 MiB"}), kernel=kernel)
    assert faster.time_s <= before.time_s
    assert moved(larger) <= moved(before)
    for estimate in (before, faster, larger):
        assert estimate.bound_s <= estimate.time_s
        assert estimate.bound_bytes <= moved(estimate)


def test_bound_compare_and_map_work_on_these_machines() -> None:
    work = hw.workloads.attention(batch=1, heads=2, queries=2048, keys=2048, head_dim=64)
    limit = hw.bound(work, on="fusemax")
    assert isinstance(limit, Limit)
    assert limit.time_over_limit >= 1
    compared = hw.compare(work, on=["fusemax", "flat", "flat-edge"])
    assert "FuseMax" in str(compared)
    assert str(compared.estimates[0]).count("mac ") == 1
    product = hw.parse("Z[m,n] = A[m,k] * B[n,k]", sizes={"m": 64, "n": 64, "k": 64})
    assert str(hw.map(product, on="fusemax")).startswith("cascade on fusemax: 24,576 bytes")


def test_what_no_array_can_do_is_refused_by_name() -> None:
    gemm = hw.workloads.gemm(M=64, N=64, K=64)
    bound = hw.device("peer-a3").but(binding="fusemax")
    with pytest.raises(CoverageError, match="peer-a3: lacks arrays matrix, vector"):
        hw.predict(gemm, on=bound)
    with pytest.raises(UnknownNameError, match="binding"):
        hw.predict(gemm, on="fusemax", kernel="flash")
    with pytest.raises(CoverageError, match="no rate for fp8"):
        hw.predict(gemm.but(dtype="fp8"), on="fusemax")
    norm = hw.workloads.rmsnorm(rows=64, cols=64)
    with pytest.raises(CoverageError, match="rsqrt"):
        hw.predict(norm, on="fusemax")
    windowed = hw.workloads.attention(
        batch=1, heads=1, queries=512, keys=512, head_dim=64, causal=True, window=64
    )
    with pytest.raises(CoverageError, match="window"):
        hw.predict(windowed, on="fusemax")
    small = hw.device("fusemax").but(buffer={"capacity": "64 KiB"})
    with pytest.raises(CapacityError, match="bytes of buffer"):
        hw.predict(attended("BERT", 1024), on=small)
    sizes = small.but(buffer={"capacity_bytes": np.array([2.0**24, 2.0**16, 2.0**15])})
    with pytest.raises(CapacityError, match="found 65,536;"):
        hw.predict(attended("BERT", 1024), on=sizes)
    with pytest.raises(CoverageError, match=r"mac, add, max, divide, exp.*log"):
        hw.predict(hw.parse("Z[m] = log(A[m])", sizes={"m": 8}), on="fusemax")


@pytest.mark.parametrize(("name", "dtype"), [("fusemax", "bf16"), ("spatten", "int8")])
def test_no_interval_is_claimed_where_nothing_was_measured(name: str, dtype: str) -> None:
    work = hw.workloads.attention(batch=1, heads=1, queries=256, keys=256, head_dim=64, dtype=dtype)
    found = hw.predict(work, on=name)
    assert math.isnan(found.time_low_s)
    assert math.isnan(found.time_high_s)
    assert "90 % interval not known" in str(found)
    assert "nan" not in str(found)
    assert "not known" in str(hw.compare(work, on=[name]))
    assert any("never measured" in warning for warning in found.warnings)
