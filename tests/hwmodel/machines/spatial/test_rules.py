"""Accounting rules: the seconds and joules of a nest worked out by hand."""

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import OVERLAP, PORTS, Rules, activity, rules_named
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.spine.activity import fold, totals
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Node
from hwmodel.spine.power import energy_j

PRODUCT = parse(
    "Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 64, "n": 64, "k": 64}, dtypes={"*": "int8"}
)
NEST: tuple[Node, ...] = (Loop("m", 32), Loop("n", 32), Keep("Z", "buffer"), Loop("k", 1))
MACS = 64**3
TRAFFIC = 4096 + 2 * 4096 + 2 * 4096
TOUCHED = 4 * MACS - 4096


def timed(rules: Rules, double: bool = False, hardware: Hardware | None = None) -> float:
    machine = hardware or device("peer-a2")
    keeps = (Keep("A", "buffer", double), Keep("B", "buffer", double))
    nest = tuple(Keep("Z", "buffer", double) if isinstance(n, Keep) else n for n in NEST)
    mapping = Mapping("case", machine.name, (*nest, *keeps, Compute("Z")))
    counts = evaluate(PRODUCT, mapping, limits(machine))
    done = activity(counts, rules, unit_of(machine), array=bool(machine.arrays))
    return float(fold(done, rates(machine, totals(done).operations)).time_s)


def test_overlap_is_the_busiest_of_arithmetic_and_memories() -> None:
    assert timed(OVERLAP) == pytest.approx(MACS / 1e9)
    fast = device("peer-a2").but(units={"mac": {"rate_per_s": {"int8": 1e15}}})
    assert timed(OVERLAP, hardware=fast) == pytest.approx((TOUCHED + TRAFFIC) / 64e9)
    near = fast.but(buffer={"bandwidth": "1 PB/s"})
    assert timed(OVERLAP, hardware=near) == pytest.approx(TRAFFIC / 16e9)


def test_ports_expose_every_transfer_of_tiles_kept_once() -> None:
    assert timed(PORTS) == pytest.approx(MACS / 1e9 + TRAFFIC / 16e9)


def test_ports_expose_first_and_last_tiles_kept_twice() -> None:
    """One tile of Z (1,024), one column of A and one row of B (32 each)."""
    assert timed(PORTS, double=True) == pytest.approx(MACS / 1e9 + (1024 + 32 + 32) / 16e9)


def test_joules_are_operations_and_bytes_at_both_ends() -> None:
    machine = device("peer-a2")
    mapping = Mapping("c", "m", (*NEST, Keep("A", "buffer"), Keep("B", "buffer"), Compute("Z")))
    counts = evaluate(PRODUCT, mapping, limits(machine))
    done = activity(counts, OVERLAP, unit_of(machine), array=False)
    spent = energy_j(done, rates(machine, totals(done).operations), 1.0)
    expected = MACS + 200 * TRAFFIC + 6 * (TRAFFIC + TOUCHED)
    assert spent == pytest.approx(expected * 1e-12)


def test_rules_and_formats_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="accounting rules 'perfect'; known: overlap, ports"):
        rules_named("perfect")
    with pytest.raises(CoverageError, match="no rate for fp64"):
        rates(device("peer-a2"), [("mac", "add", "fp64")])
