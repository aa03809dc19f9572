"""Energy tables: published numbers, laws of the two rules of scaling, and what is refused."""

import json
import math
import sys

import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel import cli
from hwmodel.hardware.energy_tables import (
    GATES,
    SUPPLY_V,
    at_node,
    scaled,
    table,
    table_text,
    tables,
)
from hwmodel.quantity.errors import InputError, UnknownNameError

HOROWITZ, JOUPPI = table("horowitz-2014"), table("jouppi-2021")


def test_every_number_has_a_source() -> None:
    for name in tables():
        found = table(name)
        text = table_text(found)
        for kind, each in found.operations.items():
            for dtype in each.energy_j:
                assert f"operations.{kind}.energy.{dtype}" in found.sources
                assert f"{kind} {dtype}" in text
        for access in found.memories:
            assert f"memories.{access}.energy" in found.sources
        for interface in found.interfaces.values():
            assert 0 < interface.low_j_per_byte <= interface.high_j_per_byte


def test_published_operations_of_both_nodes() -> None:
    """A multiply-accumulate in int8 with a 32-bit sum: 0.3 pJ at 45 nm, 0.1 pJ at 7 nm."""
    for found, picojoules in ((HOROWITZ, 0.3), (JOUPPI, 0.1)):
        product = found.operations["multiply"].energy_j["int8"]
        total = product + found.operations["add"].energy_j["int32"]
        assert_allclose(total, picojoules * 1e-12)


def test_scaling_by_tables_meets_the_other_table_at_its_node() -> None:
    there = scaled(HOROWITZ, 7)
    for kind, each in JOUPPI.operations.items():
        for dtype, joules in each.energy_j.items():
            if dtype in HOROWITZ.operations[kind].energy_j:
                assert_allclose(there.operations[kind].energy_j[dtype], joules)
    for name, access in JOUPPI.memories.items():
        assert_allclose(there.memories[name].energy_j, access.energy_j)


@pytest.mark.parametrize("rule", ["tables", "gates"])
def test_there_and_back_is_where_one_began(rule: str) -> None:
    back = scaled(scaled(JOUPPI, 16, rule=rule), 7, rule=rule)
    for kind, each in JOUPPI.operations.items():
        for dtype, joules in each.energy_j.items():
            assert_allclose(back.operations[kind].energy_j[dtype], joules)


@pytest.mark.parametrize(("rule", "nodes"), [("tables", [45, 32, 28, 16, 7]), ("gates", GATES)])
def test_smaller_nodes_take_less(rule: str, nodes: list[int]) -> None:
    joules = [
        float(scaled(HOROWITZ, node, rule=rule).operations["add"].energy_j["fp32"])
        for node in nodes
    ]
    assert joules == sorted(joules, reverse=True)


def test_half_way_between_the_nodes_is_the_geometric_mean() -> None:
    """18 nm is sqrt(45 x 7) = 17.7 within a node's name; fp32 adds: 0.9 and 0.38 pJ."""
    found = scaled(HOROWITZ, 18).operations["add"].energy_j["fp32"]
    assert_allclose(found, math.sqrt(0.9 * 0.38) * 1e-12, rtol=0.01)


def test_gates_at_one_volt_are_sums_of_their_coefficients() -> None:
    """Stillmaker and Baas, by hand: (0.1776 - 0.09097 + 0.02447) / (3.755 - 4.398 + 1.975)."""
    source = HOROWITZ.but(node=65, voltage_v=1.0)
    found = scaled(source, 7, rule="gates", voltage_v=0.875).operations["add"].energy_j["fp32"]
    hand = (0.1776 * 0.765625 - 0.09097 * 0.875 + 0.02447) / 1.332
    assert_allclose(found, 0.9e-12 * hand)


def test_gates_promise_more_than_the_tables_show() -> None:
    """45 to 7 nm: a gate keeps under a tenth, published operations 23 to 48 %."""
    gates, published = scaled(HOROWITZ, 7, rule="gates"), scaled(HOROWITZ, 7)
    for kind, each in HOROWITZ.operations.items():
        for dtype, joules in each.energy_j.items():
            assert gates.operations[kind].energy_j[dtype] / joules < 0.1
            assert 0.23 < published.operations[kind].energy_j[dtype] / joules < 0.48


def test_interfaces_keep_their_joules_at_every_node() -> None:
    fusemax = table("fusemax-2024")
    assert scaled(fusemax, 7).interfaces == fusemax.interfaces


def test_a_machine_has_the_joules_of_its_table() -> None:
    machine, found = hw.device("fusemax"), table("fusemax-2024")
    for name, function in machine.functions.items():
        assert function.energy_j == found.operations[name].energy_j["fp16"]
    dram = machine.memory("dram").energy_j_per_byte
    assert_allclose(dram, found.interfaces["hbm2"].low_j_per_byte)


def test_a_machine_at_a_newer_node_takes_less_and_the_same_time() -> None:
    work = hw.workloads.attention(batch=1, heads=2, queries=1024, keys=1024, head_dim=64)
    old = hw.device("fusemax")
    new = at_node(old, 7)
    before, after = hw.predict(work, on=old), hw.predict(work, on=new)
    assert after.time_s == before.time_s
    assert after.device == "FuseMax, 256 x 256 at 7 nm"
    assert_allclose(after.energy_by_j["dram"], before.energy_by_j["dram"])
    ratio = math.prod([0.16 / 0.4, 0.38 / 0.9, 0.34 / 1.1, 1.31 / 3.7]) ** 0.25
    assert_allclose(after.energy_by_j["mac"], before.energy_by_j["mac"] * ratio)
    assert_allclose(after.energy_by_j["register"], before.energy_by_j["register"] * 0.75)
    assert_allclose(after.energy_by_j["buffer"], before.energy_by_j["buffer"] * 0.14)
    assert new.sources["functions.mac.energy"] == "what-if"


@pytest.mark.parametrize(
    ("node", "gate"),
    [
        *((180, 26.372), (130, 6.30129), (90, 3.21208), (65, 1.68075), (45, 0.8612)),
        *((32, 0.457137), (20, 0.20079), (16, 0.1384705), (14, 0.096222), (10, 0.0702425)),
        (7, 0.047815),
    ],
)
def test_gates_at_nominal_supplies_are_those_worked_out_from_the_paper(
    node: int, gate: float
) -> None:
    """Stillmaker and Baas, a V^2 + b V + c by hand: 90 nm at 1.2 V 6.85728 - 5.7372 + 2.092."""
    source = HOROWITZ.but(node=node, voltage_v=SUPPLY_V[node])
    to_45 = scaled(source, 45, rule="gates").operations["add"].energy_j["fp32"]
    assert_allclose(to_45, 0.9e-12 * 0.8612 / gate, rtol=1e-5)
    from_45 = scaled(HOROWITZ.but(voltage_v=1.0), node, rule="gates")
    assert_allclose(from_45.operations["add"].energy_j["fp32"], 0.9e-12 * gate / 0.8612, rtol=1e-5)


def test_a_machine_at_16_nm_has_the_joules_worked_out_by_hand() -> None:
    """(0.2333 x 0.3 x 0.35 x 0.4774)^(1/4) of integers to 7 nm, ln(45/16) / ln(45/7) of the way."""
    moved = at_node(hw.device("peer-a3"), 16)
    assert_allclose(moved.units["mac"].energy_j_per_flop["int8"], 0.5e-12 * 0.53901, rtol=1e-4)
    assert_allclose(moved.memory("register").energy_j_per_byte, 1e-12 * 0.75**0.55573, rtol=1e-4)


@pytest.mark.parametrize("name", hw.devices())
def test_every_machine_with_joules_can_go_from_45_to_16_nm(name: str) -> None:
    machine = hw.device(name)
    moved = at_node(machine, 16)
    for unit, spec in machine.units.items():
        for dtype, joules in spec.energy_j_per_flop.items():
            least = joules * (0.999 if not machine.functions else 1)
            assert moved.units[unit].energy_j_per_flop[dtype] <= least
    for function, spec in machine.functions.items():
        assert moved.functions[function].energy_j < spec.energy_j
    assert moved.memories[next(iter(moved.memories))] == next(iter(machine.memories.values()))


def test_what_cannot_be_scaled_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected 7 to 45 nm.*found 5"):
        scaled(HOROWITZ, 5)
    with pytest.raises(InputError, match=r"expected one of 180, 130.*found 12"):
        scaled(HOROWITZ, 12, rule="gates")
    with pytest.raises(InputError, match=r"voltage: expected 0\.26 V"):
        scaled(HOROWITZ, 7, rule="gates", voltage_v=0.2)
    with pytest.raises(InputError, match="expected a table of one node"):
        scaled(table("interfaces"), 7)
    with pytest.raises(UnknownNameError, match="energy table"):
        table("horowitz")
    with pytest.raises(UnknownNameError, match="rule of scaling"):
        scaled(HOROWITZ, 7, rule="moore")


def test_nominal_supplies_are_known_for_every_gate() -> None:
    assert SUPPLY_V.keys() == GATES.keys()


def test_the_command_prints_tables_and_refuses_a_node_without_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hwmodel", "energy", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0)

    assert status() == 0
    assert "horowitz-2014" in capsys.readouterr().out
    assert status("horowitz-2014", "--node", "7", "--json") == 0
    added = json.loads(capsys.readouterr().out)["operations"]["add"]["energy_j"]["fp32"]
    assert added == pytest.approx(0.38e-12)
    assert status("--node", "7") == 2
    assert "expected a table to scale" in capsys.readouterr().err


def test_a_machine_goes_by_gates_from_the_nominal_supply_of_its_node() -> None:
    """From 45 nm at its nominal supply, 0.8612, to 16 nm, 0.1384705, whatever the memory's size."""
    before = hw.device("peer-a3")
    after = at_node(before, 16, rule="gates")
    ratio = 0.1384705 / 0.8612
    old, new = (each.units["mac"].energy_j_per_flop["int8"] for each in (before, after))
    assert_allclose(new, old * ratio, rtol=1e-5)
    old, new = (each.memory("register").energy_j_per_byte for each in (before, after))
    assert_allclose(new, old * ratio, rtol=1e-5)
