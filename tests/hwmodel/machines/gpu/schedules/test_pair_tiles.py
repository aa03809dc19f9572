"""Tiles of pairs of processors: the best of a menu, whose sums fit the memory that they lie in."""

import hwmodel as hw
from hwmodel.machines.gpu.schedules import pair_tiles

TENSOR_BYTES = 128 * 512 * 4
"""Tensor memory of a processor: 128 lanes of 512 columns of 4 bytes (PTX ISA)."""


def test_sums_of_every_tile_fit_a_processors_tensor_memory() -> None:
    assert all(m * n * 4 <= TENSOR_BYTES for m, n in pair_tiles.SIDES)


def test_a_large_product_takes_a_wide_tile_and_a_deep_one_parts() -> None:
    wide, deep = (
        hw.predict(hw.workloads.gemm(*sizes), "b200").parts[0].tile
        for sizes in ((8192, 8192, 8192), (16, 128, 65536))
    )
    assert (wide.block_m, wide.block_n, wide.split) == (128, 256, 1)
    assert (wide.persistent, wide.multicast) == (1, 4)
    assert deep.split > 4


def test_a_narrow_product_is_not_padded_to_a_wide_tile() -> None:
    tile = hw.predict(hw.workloads.gemm(8, 16384, 2048), "b200").parts[0].tile
    assert tile.block_m <= 32
