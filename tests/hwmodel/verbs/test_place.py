"""The verb and the command: fields, text, exit statuses, a picture, and what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import hwmodel as hw
from hwmodel.cli import app
from hwmodel.experts.placement import crossings, read_placement
from hwmodel.experts.statistics import from_counts, from_traces, planted
from hwmodel.mappers.mapper import Proposal
from hwmodel.network.topologies import node
from hwmodel.network.topology import Port
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.verbs.place import pins

TRACE = planted(layers=4, experts=8, group=2, share=0.7, tokens=2000, seed=0)
ROUTING = from_traces([TRACE], experts=8)
PORT = Port(latency_s=1e-6, bandwidth_bytes_per_s=1e9)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    np.savez(tmp_path / "t.npz", experts=TRACE)
    return str(tmp_path / "t.npz")


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["place", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_answers_in_json_with_every_field(trace: str, tmp_path: Path) -> None:
    status, out = run("--routing", trace, "--devices", "4", "--json")
    record = json.loads(out)
    assert status == 0
    wanted = "crossings contiguous_crossings bound gap_to_bound optimal_in_mapspace placement"
    assert {*wanted.split(), "solve_time_s"} <= set(record)
    assert record["optimal_in_mapspace"]
    assert record["crossings"] == record["bound"] == record["value"]
    (tmp_path / "p.json").write_text(out)
    assert crossings(ROUTING, read_placement(tmp_path / "p.json")) == record["crossings"]


def test_the_text_says_what_crosses_and_what_is_proven(trace: str) -> None:
    status, out = run("--routing", trace, "--devices", "4", "--nodes", "2")
    answer = hw.place(ROUTING, devices=4, nodes=2)
    assert status == 0
    assert f"{answer.crossings:,.0f} of 6,000 transitions cross" in out
    assert "proven optimal" in out
    assert "transitions that leave a node" in out
    assert max(map(len, out.splitlines())) <= 100


def test_nodes_take_few_crossings_without_adding_any() -> None:
    flat, record = hw.place(ROUTING, devices=4), hw.place(ROUTING, devices=4, nodes=2).record()
    assert record["crossings"] == flat.crossings
    assert record["node_crossings"] <= record["crossings"]
    hops = hw.place(ROUTING, devices=4, nodes=2, objective="hops", time_limit_s=30)
    assert hops.certificate.value <= record["crossings"] + record["node_crossings"]


def test_a_topology_gives_times_before_and_after() -> None:
    answer = hw.place(ROUTING, topology=node(4, PORT), token_bytes="4 KiB", tokens=1000)
    assert answer.step is not None
    before, after = answer.step
    assert after.coherent_exchange_s < before.coherent_exchange_s
    seconds = hw.place(
        ROUTING, topology=node(4, PORT), token_bytes=4096, objective="seconds", time_limit_s=5
    )
    # one switch: a crossing costs the same everywhere, so that fewest crossings are fastest
    assert seconds.crossings == answer.crossings
    assert seconds.certificate.unit == "s"


def test_fewer_devices_are_the_first_of_a_topology() -> None:
    whole = hw.place(ROUTING, topology=node(4, PORT), token_bytes=4096, tokens=1000)
    part = hw.place(ROUTING, devices=4, topology=node(6, PORT), token_bytes=4096, tokens=1000)
    assert part.record()["step"] == whole.record()["step"]
    assert part.crossings == whole.crossings


def test_counts_are_integers_in_json() -> None:
    record = hw.place(ROUTING, devices=4).record()
    for field in ("crossings", "contiguous_crossings", "bound", "value", "transitions"):
        assert type(record[field]) is int, field


def test_the_load_objective_evens_out_the_busiest_devices() -> None:
    loads = np.array([9.0, 8, 7, 6, 5, 4, 3, 2])
    routing = from_counts({(0, 1): np.diag(loads)})
    answer = hw.place(routing, devices=4, objective="load", time_limit_s=5)
    assert answer.certificate.value == 2 * 11  # 9 + 2, 8 + 3, 7 + 4, 6 + 5 in both layers
    assert answer.certificate.optimal_in_mapspace
    record = json.loads(json.dumps(answer.record(), allow_nan=False))
    assert record["load_imbalance"] == 1


def test_memory_limits_what_a_device_holds() -> None:
    answer = hw.place(
        ROUTING, devices=4, slack=4, memory="8 GB", expert_bytes="1 GB", time_limit_s=3
    )
    assert answer.placement.held().max() <= 2
    with pytest.raises(CapacityError, match="room for 1 experts of each layer, 4 in all"):
        hw.place(ROUTING, devices=4, memory="4 GB", expert_bytes="1 GB")
    with pytest.raises(CapacityError, match="not even one expert"):
        hw.place(ROUTING, devices=4, shared_experts=2, memory="8 GB", expert_bytes="1 GB")


def test_a_machine_of_several_devices_says_how_many() -> None:
    answer = hw.place(ROUTING, on=hw.device("h200") * 4)
    assert answer.placement.devices == 4
    with pytest.raises(InputError, match="on has 4 devices, found devices=8"):
        hw.place(ROUTING, on=hw.device("h200") * 4, devices=8)


def test_a_picture_is_drawn(trace: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "p.png"
    status, _ = run("--routing", trace, "--devices", "2", "--picture", str(path))
    assert status == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, InputError, "expected --devices or a topology"),
        ({"devices": 3}, InputError, "8 experts do not divide evenly over 3 devices"),
        ({"devices": 4, "nodes": 3}, InputError, "nodes that divide the devices"),
        ({"devices": 4, "objective": "joy"}, UnknownNameError, "'joy'"),
        ({"devices": 4, "objective": "seconds"}, InputError, "seconds need a topology"),
        ({"devices": 4, "memory": 1.0}, InputError, "give both"),
        ({"devices": 4, "token_s": -1.0}, InputError, "token_s: expected a number of 0 or more"),
        (
            {"devices": 4, "time_limit_s": 0.0},
            InputError,
            "time_limit_s: expected 1e-09 or more, found 0",
        ),
        ({"devices": 9, "topology": node(8, PORT)}, InputError, "has 8 devices, found devices=9"),
    ],
)
def test_impossible_requests_are_refused(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        hw.place(ROUTING, **options)  # pyright: ignore[reportArgumentType]


def consecutive(
    routing: Any, problem: Any, /, *, objective: str, capacities: Mapping[str, Any]
) -> Proposal:
    """A user's mapper: experts on devices in order."""
    assert (objective, capacities) == ("crossings", {"experts": 2})
    return Proposal(np.arange(8) // 2 * np.ones((4, 1), int))


def test_a_users_mapper_is_counted_anew_and_gets_a_bound() -> None:
    ours = hw.place(ROUTING, devices=4)
    answer = hw.place(ROUTING, devices=4, mapper=consecutive)
    assert answer.certificate.mapspace == "consecutive"
    assert answer.certificate.value == answer.crossings == ours.contiguous_crossings
    assert 0 < answer.certificate.bound <= ours.crossings < answer.certificate.value


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (np.zeros((4, 8), int), "2 to 2 experts of each layer on each of 4 devices"),
        (np.full((4, 8), 9), "2 to 2 experts of each layer on each of 4 devices"),
        (np.zeros(8), "the device of each expert, 4 layers x 8 experts"),
        ("all", "the device of each expert, 4 layers x 8 experts"),
    ],
)
def test_a_users_assignment_that_breaks_a_constraint_is_refused(choice: Any, said: str) -> None:
    def own(*_: Any, **__: Any) -> Proposal:
        return Proposal(choice)

    with pytest.raises(InputError, match=f"mapper own: expected {said}"):
        hw.place(ROUTING, devices=4, mapper=own)


def test_numbers_that_no_part_of_the_answer_depends_on_are_named() -> None:
    found = hw.place(ROUTING, devices=4, choices=1, tokens=100).record()["warnings"]
    assert [note.split(":")[1] for note in found] == [" tokens", " choices"]
    assert all(note.startswith("no effect: ") for note in found)
    topology = node(4, PORT)
    heard = hw.place(ROUTING, topology=topology, token_bytes=4096, choices=2, token_s=1e-6)
    assert not heard.record()["warnings"]
    assert not hw.place(EPLB, devices=8, slack=1, slots=16, choices=2, token_s=1.0).notes[1:]
    assert not hw.place(ROUTING, devices=4).record()["warnings"]


def test_pins_are_read_or_refused() -> None:
    assert pins(["0:3=1", "7:2=0"]) == {(0, 3): 1, (7, 2): 0}
    with pytest.raises(InputError, match="LAYER:EXPERT=DEVICE, found '0-3=1'"):
        pins(["0-3=1"])


EPLB = [
    [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86],
    [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
]
"""The loads in the README of deepseek-ai/EPLB (MIT)."""


def test_loads_alone_are_balanced_with_a_proof() -> None:
    """Loads of 1,033 and 1,156 over four devices: 259 and 289 on the busiest at least.

    Each of eight devices has to serve a whole expert, the busiest being of 183 and 197.
    """
    answer = hw.place(EPLB, devices=4)
    assert answer.certificate.objective == "load"
    assert 259 + 289 <= answer.certificate.bound <= answer.certificate.value
    loads = np.zeros((2, 4))
    for layer, row in enumerate(answer.placement.assignment):
        assert sorted(row) == sorted([0, 1, 2, 3] * 3)
        np.add.at(loads[layer], list(row), EPLB[layer])
    assert answer.certificate.value == loads.max(axis=1).sum()
    alone = hw.place(np.array(EPLB), devices=8, slack=1)
    assert alone.certificate.value == 183 + 197
    assert alone.certificate.optimal_in_mapspace
    assert "serves 1.389 times the mean load" in str(alone)
    assert any("loads alone" in note for note in alone.record()["warnings"])


def test_copies_of_loads_alone_are_no_worse_than_eplbs() -> None:
    found = hw.place(EPLB, devices=8, slack=1, slots=16).copies
    assert found is not None
    assert found.imbalance <= found.eplb_imbalance
    assert all(sorted(set(row)) == list(range(12)) for row in found.slots)


def test_one_layer_is_placed_and_drawn(tmp_path: Path) -> None:
    (tmp_path / "loads.json").write_text(json.dumps(EPLB[0]))
    picture = tmp_path / "p.png"
    words = ("--routing", str(tmp_path / "loads.json"), "--devices", "4", "--picture", str(picture))
    status, out = run(*words)
    assert status == 0
    assert out.startswith("12 experts in one layer on 4 devices: the busiest device serves")
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("objective", ["crossings", "hops", "seconds"])
def test_loads_alone_say_nothing_of_crossings(objective: str) -> None:
    with pytest.raises(InputError, match="expected transitions between layers, found loads alone"):
        hw.place(EPLB, devices=4, objective=objective)


def test_choices_and_domains_without_effect_are_refused() -> None:
    with pytest.raises(InputError, match="choices: expected at most the 12 experts"):
        hw.place(EPLB, devices=4, choices=13)
    with pytest.raises(InputError, match="domains: expected names, found none"):
        hw.place(EPLB, devices=4, domains=[])
