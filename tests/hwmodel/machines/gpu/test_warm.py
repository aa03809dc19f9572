"""What a repetition finds in the L2: simulated line by line, and ends that hold by themselves."""

import random

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.machines.gpu.warm import LAYERS, found_again
from hwmodel.quantity.errors import CoverageError, InputError

H200 = hw.device("h200")
LARGEST = int(H200.memory("l2").capacity_bytes)


def simulated(activations: int, lines: int) -> float:
    """Share of accesses that a cache of so many lines holds, where misses replace one at random."""
    draw = random.Random(7)
    held: dict[int, int] = {}
    places: list[int | None] = [None] * lines
    found = asked = 0
    for turn in range(120):
        for name in range(activations):
            asked += turn >= 48
            if name in held:
                found += turn >= 48
                continue
            place = draw.randrange(lines) if None not in places else places.index(None)
            old = places[place]
            if old is not None:
                del held[old]
            places[place], held[name] = name, place
    return found / asked


@pytest.mark.parametrize("activations", [80, 150, 300])
def test_activations_are_found_as_in_a_cache_that_replaces_lines_at_random(
    activations: int,
) -> None:
    expected = simulated(activations, 100)
    assert found_again((activations, 0, LAYERS), 100) == pytest.approx(expected, abs=0.05)


def test_weights_are_found_up_to_one_copys_share_and_not_beyond() -> None:
    for copies in (1, 2):
        few, many = (
            found_again((0, share * 100 / LAYERS, LAYERS), 100, copies) for share in (0.25, 1.5)
        )
        assert few > 0.95, copies
        assert many < 0.05, copies
    assert found_again((0, 70 / LAYERS, LAYERS), 100, 1) > 0.8
    assert found_again((0, 70 / LAYERS, LAYERS), 100, 2) < 0.1


def test_all_is_found_of_what_is_small_and_nothing_of_what_is_huge() -> None:
    shares = found_again((np.array([1.0, 1e6, 1e12]), np.zeros(3), LAYERS), 1e6)
    np.testing.assert_allclose(shares, [1, 1, 0], atol=1e-3)
    assert found_again((0, 0, LAYERS), 1e6) == 1


@pytest.mark.parametrize(
    ("columns", "depth", "faster"), [(10240, 512, True), (12288, 512, True), (16384, 768, False)]
)
def test_an_l40s_finds_weights_again_where_its_rows_beat_the_dram(
    columns: int, depth: int, faster: bool
) -> None:
    """VLLM 0.24's rows: 10.5 and 12.6 MB at 1,970 and 1,832 GB/s, 25.2 at 698 of the DRAM's 864."""
    work = hw.workloads.gemm(M=8, N=columns, K=depth)
    cold, warm = (hw.predict(work, "l40s", l2=state) for state in ("cold", "warm"))
    read = float(warm.dram_bytes_read) / float(cold.dram_bytes_read)
    assert read < 0.3 if faster else read > 0.9


def test_activations_of_an_engine_that_takes_them_in_turn_come_back_like_weights() -> None:
    """SGLang's layers in fp8 against vLLM's, the same kernels: 22 MB of activations, an L40S."""
    work = hw.workloads.gemm(M=3072, N=64, K=7168, dtype="fp8")
    turned, same = (hw.predict(work, "l40s", kernel=k, l2="warm") for k in ("sglang", "vllm"))
    assert turned.dram_bytes_read > 0.9 * work_bytes(3072, 64, 7168) > 10 * same.dram_bytes_read
    assert any("activations and weights of six layers" in each for each in turned.assumptions)


def work_bytes(rows: int, columns: int, depth: int) -> float:
    """Bytes of both operands in fp8."""
    return (rows + columns) * depth


def test_a_small_product_leaves_the_dram_alone_and_is_faster() -> None:
    work = hw.workloads.gemm(M=16, N=4096, K=1024)
    cold, warm = (hw.predict(work, "l40s", l2=state) for state in ("cold", "warm"))
    assert cold.dram_bytes_read > 0
    assert warm.dram_bytes_read + warm.dram_bytes_written < 0.05 * cold.dram_bytes_read
    assert warm.time_s < cold.time_s
    assert warm.energy_j < cold.energy_j
    assert any("warm L2" in each for each in warm.assumptions)


def test_what_is_many_times_the_l2_is_as_when_cold() -> None:
    work = hw.workloads.gemm(M=8192, N=16384, K=16384)
    cold, warm = (hw.predict(work, H200, l2=state) for state in ("cold", "warm"))
    assert warm.time_s == pytest.approx(cold.time_s, rel=1e-3)
    assert warm.dram_bytes_read == pytest.approx(cold.dram_bytes_read, rel=1e-3)


def test_the_bound_counts_what_the_l2_may_hold_and_no_more() -> None:
    work = hw.workloads.gemm(M=8192, N=8192, K=8192)
    cold, warm = (hw.predict(work, H200, l2=state) for state in ("cold", "warm"))
    assert cold.bound_bytes - warm.bound_bytes == LARGEST
    assert warm.dram_bytes_read + warm.dram_bytes_written >= warm.bound_bytes


def test_weights_of_a_layer_are_found_less_often_than_activations_of_their_size() -> None:
    wide = hw.workloads.gemm(M=8192, N=32, K=1024)
    deep = hw.workloads.gemm(M=32, N=8192, K=1024)
    read = [hw.predict(each, H200, l2="warm").dram_bytes_read for each in (wide, deep)]
    assert 0 <= read[0] < 0.01 * read[1]


def test_a_sweep_gives_what_single_points_give() -> None:
    sizes = np.array([16.0, 512.0, 9000.0])
    swept = hw.predict(hw.workloads.gemm(M=sizes, N=4096, K=4096), H200, l2="warm").time_s
    for size, time_s in zip(sizes, swept, strict=True):
        alone = hw.predict(hw.workloads.gemm(M=int(size), N=4096, K=4096), H200, l2="warm")
        assert time_s == pytest.approx(alone.time_s, rel=1e-9)


def test_a_warm_l2_is_refused_where_it_means_nothing() -> None:
    work = hw.workloads.gemm(M=64, N=1024, K=1024)
    with pytest.raises(InputError, match="expected one of cold, warm, found 'hot'"):
        hw.predict(work, H200, l2="hot")
    with pytest.raises(CoverageError, match="raspberry-pi-5 is none"):
        hw.predict(hw.workloads.gemm(64, 64, 64, dtype="fp32"), "raspberry-pi-5", l2="warm")
    with pytest.raises(InputError, match="a network of many"):
        hw.predict(hw.model("llama-3.1-8b").decode(batch=1, context=128), H200, l2="warm")


@pytest.mark.parametrize(("on", "found"), [("rtx-pro-6000", True), ("h200", False)])
def test_experts_that_eight_tokens_choose_come_back_where_they_fit(on: str, found: bool) -> None:
    """64 of 384 experts of 3 x 7,168 x 128 in int4: 99 MB, of an L2 of 134 or 63 MB."""
    work = hw.workloads.moe(8, 384, 8, 7168, 128, weight_dtype="int4@32:16")
    warm, cold = (hw.predict(work, on=on, kernel="vllm", l2=l2) for l2 in ("warm", "cold"))
    share = float(warm.dram_bytes_read) / float(cold.dram_bytes_read)
    assert share < 0.4 if found else share > 0.9
