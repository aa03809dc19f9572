"""Inputs that are read in two ways: counts by hand, values kept, what stays refused."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.notation import parse
from hwmodel.mappers.fusion.apart import apart

MLP = """
T[m, f] = A[m, k] * B[k, f]
S[m, n] = T[m, f] * C[f, n]
Z[m, n] = S[m, n] + A[m, n]
"""
BLOCK = """
tensor I[i, c]
tensor R[y, d]
R[y, d] = I[y + r, c] * W[r, c, d]
S[z, e] = R[z + s, d] * X[s, d, e]
Z[z, e] = S[z, e] + I[z + 2, e]
"""


def mlp(**sizes: int) -> Cascade:
    given = {"m": 256, "k": 64, "f": 64, "n": 64, **sizes}
    return parse(MLP, sizes=given, dtypes={"*": "int8"}, name="residual")


def block() -> Cascade:
    sizes = {"i": 68, "c": 16, "y": 66, "r": 3, "d": 16, "z": 64, "s": 3, "e": 16}
    return parse(BLOCK, sizes=sizes, dtypes={"*": "int8"}, name="block")


def machine(buffer: str) -> Any:
    return hw.device("peer-a2").but(buffer={"capacity": buffer})


def test_a_residual_products_input_is_moved_once_for_each_way() -> None:
    """A twice, both weights and Z once; the bound has A once."""
    found: Any = hw.map(mlp(), on=machine("64 KiB"))
    assert found.value == 2 * 256 * 64 + 2 * 64 * 64 + 256 * 64
    assert found.certificate.bound == 256 * 64 + 2 * 64 * 64 + 256 * 64
    assert found.certificate.optimal_in_mapspace
    assert any("A is read in two ways" in note for note in found.notes)


def test_of_a_residual_block_of_convolutions_the_places_that_are_added_are_moved() -> None:
    """I with its border, both filters, 64 x 16 places of I once more, and Z."""
    found = hw.map(block(), on=machine("64 KiB"))
    assert found.value == 68 * 16 + 2 * 3 * 16 * 16 + 64 * 16 + 64 * 16


@pytest.mark.parametrize("objective", ["energy", "latency"])
def test_deeper_machines_map_and_predict_it_too(objective: str) -> None:
    work = mlp(m=32, k=16, f=16, n=16)
    found = hw.map(work, on="peer-a3", objective=objective, time_limit_s=4)
    assert found.certificate.bound <= found.value
    assert found.value > 0


def test_the_second_way_has_the_values_of_the_first() -> None:
    work = block()
    two, told = apart(work)
    assert len(told) == 1
    draw = np.random.default_rng(3)
    given = {name: draw.normal(size=shape(work, name)) for name in work.inputs}
    twice = {**given, "I_2": given["I"][2 : 2 + 64]}
    assert evaluate(two, twice)["Z"] == pytest.approx(evaluate(work, given)["Z"])
    assert apart(two) == (two, ())


def shape(cascade: Cascade, name: str) -> tuple[int, ...]:
    return tuple(int(cascade.ranks[rank].size) for rank in cascade.tensors[name].ranks)  # type: ignore[arg-type]


def test_what_is_made_and_read_in_two_ways_runs_unfused_and_says_why() -> None:
    text = "T[m, f] = A[m, k] * B[k, f]\nS[m, n] = T[m, f] * C[f, n]\nZ[m, n] = S[m, n] + T[m, n]"
    sizes = dict.fromkeys("mfkn", 8)
    found: Any = hw.map(parse(text, sizes=sizes, dtypes={"*": "int8"}), on=machine("4 KiB"))
    assert [layer.name for layer in found.layers] == ["cascade.T", "cascade.S", "cascade.Z"]
    assert "reads T by m, n where it stands by m, f" in " ".join(found.notes)
