"""Elements that a tile touches, against sets of index tuples."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.machines.spatial.projection import Projection, projections

SMALL = st.integers(1, 7)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SMALL, SMALL, st.integers(1, 6), st.integers(1, 6))
def test_a_window_holds_as_many_values_as_it_takes(y: int, r: int, stride: int, gap: int) -> None:
    values = {stride * i + gap * j for i, j in product(range(y), range(r))}
    window = Projection("I", ((("r", gap), ("y", stride)),), 1)
    assert window.elements({"y": y, "r": r}) == len(values)


def test_axes_multiply_and_fixed_places_count_once() -> None:
    cascade = parse(
        "tensor I[c, h, w]\nZ[k, y, x] = I[c, 2*y+r, x+s] * W[k, c, r, s]",
        sizes={"k": 2, "c": 3, "y": 4, "x": 5, "r": 3, "s": 3, "h": 9, "w": 7},
        dtypes={"*": "bf16"},
    )
    found = projections(cascade.einsums[0], cascade)
    assert list(found) == ["Z", "I", "W"]
    tile = {"c": 2, "y": 2, "x": 5, "r": 3, "s": 1, "k": 1}
    assert found["I"].elements(tile) == 2 * 5 * 5
    assert found["I"].element_bytes == 2


def test_a_recurrent_tensor_keeps_one_slice() -> None:
    cascade = attention(batch=1, heads=1, queries=8, keys=16, head_dim=4, passes=1, tile=4)
    found = projections(cascade.einsum("RM"), cascade)
    assert "m1" not in found["RM"].ranks
    assert "p" in found["RM"].ranks
