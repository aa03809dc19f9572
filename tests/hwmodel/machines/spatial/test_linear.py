"""Products on an array: published layers, traffic against a search of blocks, elementwise steps."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CapacityError

ROWS = 64 * 1024
PUBLISHED_S = {
    (768, 3072): 0.0075296680851063835,
    (1024, 4096): 0.013386076595744683,
    (512, 2048): 0.003485895578457447,
    (2048, 8192): 0.05354430638297873,
}
"""Width and hidden width of a block: seconds of its six linear layers at 1 Ki tokens."""
PUBLISHED_BYTES = {(768, 3072): 1826095104, (1024, 4096): 2441084928, (512, 2048): 1214251008}


@pytest.mark.parametrize(("width", "hidden"), PUBLISHED_S)
@pytest.mark.parametrize("machine", ["fusemax", "flat"])
def test_linear_layers_of_a_block_take_the_published_time(
    width: int, hidden: int, machine: str
) -> None:
    layers = ((4, width, width), (1, width, hidden), (1, hidden, width))
    made = [(n, hw.predict(hw.workloads.gemm(M=ROWS, N=o, K=k), machine)) for n, k, o in layers]
    time_s = sum(n * float(each.time_s) for n, each in made)
    assert time_s == pytest.approx(PUBLISHED_S[width, hidden], rel=1e-5)
    if (width, hidden) in PUBLISHED_BYTES:
        size = sum(n * (each.dram_bytes_read + each.dram_bytes_written) for n, each in made)
        assert size == PUBLISHED_BYTES[width, hidden]


@pytest.mark.parametrize(("m", "n", "k"), [(3000, 5000, 7000), (300, 9000, 16000), (8192, 512, 64)])
def test_traffic_is_the_best_of_keeping_blocks_of_either_operand(m: int, n: int, k: int) -> None:
    buffer = 16 * 2**20
    found = hw.predict(hw.workloads.gemm(M=m, N=n, K=k), on="fusemax")

    def least(kept: int, other: int) -> int:
        blocks = range(1, kept + 1, 1)
        fitting = max(b for b in blocks if 2 * k * (b + 256) <= buffer)
        return 2 * k * (kept + other * -(-kept // fitting))

    assert found.dram_bytes_read == min(least(m, n), least(n, m))
    assert found.dram_bytes_written == 2 * m * n


def test_other_einsums_take_a_step_a_lane_and_function() -> None:
    work = hw.parse("Z[m] = A[m] * B[m] + C[m]", sizes={"m": 1000}, dtypes={"*": "bf16"})
    found = hw.predict(work, on="fusemax")
    assert found.busy_s["vector"] * 940e6 == pytest.approx(2 * 4)
    assert found.dram_bytes_read == 6000
    assert found.dram_bytes_written == 2000


def test_a_refusal_among_many_points_names_the_one_that_does_not_fit() -> None:
    sizes = np.array([2.0**24, 2.0**20])
    machine = hw.device("fusemax").but(buffer={"capacity_bytes": sizes})
    with pytest.raises(CapacityError, match=r"buffer of 1,048,576;"):
        hw.predict(hw.workloads.gemm(M=512, N=512, K=16384), on=machine)


def test_a_buffer_that_holds_just_one_row_beside_a_tile_is_enough() -> None:
    """Rows of 128 bytes, 256 and one: B comes once, A anew for each of its 256 rows, not B 512."""
    work = hw.workloads.gemm(M=512, N=256, K=64)
    just = 256 * 128 + 128
    found = hw.predict(work, on=hw.device("fusemax").but(buffer={"capacity_bytes": just}))
    assert found.dram_bytes_read == 256 * 128 + 256 * 512 * 128
    with pytest.raises(CapacityError, match="split the summed rank"):
        hw.predict(work, on=hw.device("fusemax").but(buffer={"capacity_bytes": just - 1}))
