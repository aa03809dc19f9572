"""How tiles fill a GPU: tiles, slots and rounds of the kernels of a prediction."""

import math

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu.waves import fillings

H200 = device("h200")


def test_a_product_has_as_many_tiles_as_cover_its_result() -> None:
    workload = hw.workloads.gemm(M=4000, N=4096, K=4096)
    estimate = hw.predict(workload, H200)
    (found,) = fillings(workload, H200, None, estimate)
    tile = estimate.parts[0].tile
    assert found.tiles == math.ceil(4000 / tile.block_m) * math.ceil(4096 / tile.block_n)
    assert found.slots == 132 * tile.resident
    assert found.rounds == math.ceil(found.tiles / found.slots)
    assert found.idle == 1 - found.tiles / (found.slots * found.rounds)


def test_each_kernel_of_a_model_that_runs_in_waves_is_told() -> None:
    workload = hw.model("llama-3.1-8b").decode(batch=4, context=512)
    estimate = hw.predict(workload, H200)
    found = fillings(workload, H200, None, estimate)
    assert {each.kernel for each in found} == {part.name for part in estimate.parts}
    assert all(0 <= each.idle < 1 for each in found)
