"""Collectives as workloads: what a rank reads and writes, and the same with other arguments."""

from typing import Any

import numpy as np
import pytest

from hwmodel.bounds.bound import bound
from hwmodel.einsum.workloads.collective import OPERATIONS, collective, memory_bytes
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.quantity.errors import InputError


@pytest.mark.parametrize(
    ("op", "read", "written"),
    [
        ("all_reduce", 800, 800),
        ("all_gather", 100, 800),
        ("reduce_scatter", 800, 100),
        ("all_to_all", 800, 800),
        ("broadcast", 800, 800),
        ("p2p", 800, 800),
    ],
)
def test_inputs_are_read_and_outputs_written_once(op: str, read: int, written: int) -> None:
    assert memory_bytes(op, 800, 8) == (read, written)
    found = bound(collective(op, 800, 8), limits(device("h200")))
    assert [level.bytes for level in found.levels] == [read + written] * len(found.levels)


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_collective_has_a_stage_that_computes_nothing(op: str) -> None:
    (stage,) = collective(op, 800, 8).stages
    assert stage.cascade.einsums == ()
    assert stage.collective is not None
    assert (stage.collective.op, stage.collective.bytes, stage.collective.ranks) == (op, 800, 8)
    (other,) = collective(op, 800, 8).but(ranks=4).stages
    assert other.collective is not None
    assert other.collective.ranks == 4
    assert collective(op, 800, 8).devices == 8


@pytest.mark.parametrize(
    ("op", "size", "ranks", "said"),
    [
        ("all_reduce", 0, 8, "all_reduce: bytes: expected a number above 0, found 0"),
        ("all_reduce", -5, 8, "bytes"),
        ("all_reduce", 1.5, 8, "whole number"),
        ("all_reduce", 8, 0, "all_reduce: ranks: expected a number above 0"),
        ("all_reduce", 8, 2.5, "ranks: expected a whole number"),
        ("all_reduce", np.array([1.0, 0.0]), 8, "bytes"),
        ("allreduce", 8, 8, "did you mean 'all_reduce'"),
    ],
)
def test_impossible_collectives_are_refused(op: str, size: Any, ranks: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        collective(op, size, ranks)
