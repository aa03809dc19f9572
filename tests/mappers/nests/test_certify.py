"""Answers of mappers: costs, certificates, text, JSON and the drawing."""

import json
from pathlib import Path

import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.certify import certified, certify
from hwmodel.mappers.nests.costs import any_schedule
from hwmodel.mappers.nests.picture import draw
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping

PRODUCT = parse(
    "Z[m, n] = A[m, k] * B[k, n]",
    sizes={"m": 1024, "n": 1024, "k": 1024},
    dtypes={"*": "int8"},
    name="product",
)
MACHINE: Hardware = device("peer-a2")
FIELDS = (
    *("traffic_bytes", "bound_bytes", "gap_to_bound", "mapspace", "optimal_in_mapspace", "tiles"),
    *(
        "mapping",
        "solve_time_s",
        "time_s",
        "energy_j",
        "bottleneck",
        "levels",
        "transfers",
        "rules",
    ),
)


def test_json_has_every_field_and_reads_back() -> None:
    found = certified(map_tiles, PRODUCT, MACHINE)
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert set(FIELDS) <= set(record)
    assert record["traffic_bytes"] == 7_340_032
    assert record["tiles"] == {"m": 342, "n": 342, "k": 1}
    assert record["optimal_in_mapspace"] is True
    assert record["gap_to_bound"] == pytest.approx(1 - record["bound_bytes"] / 7_340_032)
    assert Mapping.read(record["mapping"], where="answer") == found.mapping
    dram, buffer = record["levels"]
    assert dram["read_bytes"] + dram["written_bytes"] == 7_340_032
    assert (buffer["footprint_bytes"], buffer["capacity_bytes"]) == (117_648, 131_072)


def test_the_text_has_the_nest_the_counts_and_the_proof() -> None:
    text = str(certified(map_tiles, PRODUCT, MACHINE))
    assert text.startswith("product on peer-a2: 7,340,032 bytes cross the dram boundary")
    for words in (
        "for m by 342",
        "keep Z in buffer",
        "3,145,728",
        "nothing in 'uniform' is better",
    ):
        assert words in text
    assert "rules      overlap: " in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_bound_for_any_schedule_is_below_a_poor_one() -> None:
    poor = Mapping("product", "peer-a2", (Loop("m", 1), Keep("A", "buffer"), Compute("Z")))
    for objective in ("traffic", "latency", "energy", "edp"):
        found = certify(
            PRODUCT, MACHINE, Proposal(poor, "by hand"), objective=objective, started_s=0.0
        )
        assert 0 < found.certificate.bound <= found.certificate.value
        assert found.certificate.optimal_in_mapspace == (objective == "latency")  # mac never waits
        assert any_schedule(PRODUCT, MACHINE, objective)[1] <= found.certificate.bound


def test_a_bound_above_the_value_is_refused() -> None:
    poor = Mapping("product", "peer-a2", (Keep("A", "buffer"), Compute("Z")))
    roomy = MACHINE.but(buffer={"capacity": "2 MiB"})
    wrong = Proposal(poor, "by hand", bound=(1e9, "a mistake"))
    with pytest.raises(HwmodelError, match="one of the two is wrong"):
        certify(PRODUCT, roomy, wrong, objective="latency", started_s=0.0)
    with pytest.raises(UnknownNameError, match="objective 'speed'"):
        any_schedule(PRODUCT, roomy, "speed")


def test_an_array_is_timed_by_its_busiest_element() -> None:
    """16 x 16 elements; 17 rows of tiles would not fit, 8 columns leave half of them idle."""
    small: Cascade = PRODUCT.with_sizes(m=16, n=8, k=64)
    machine = device("peer-a3")
    nest = (
        *(Loop("m", 1, "rows"), Loop("n", 1, "columns"), Keep("Z", "register"), Loop("k", 1)),
        *(Keep("A", "register"), Keep("B", "register"), Compute("Z")),
    )
    proposal = Proposal(Mapping("product", "peer-a3", nest), "by hand")
    found = certify(small, machine, proposal, objective="latency", started_s=0.0)
    assert found.costs.busy_s["array"] == pytest.approx(64e-9)
    assert found.costs.counts.elements == 128
    assert found.least.bytes <= found.traffic_bytes


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_drawing_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"nest.{suffix}"
    draw(certified(map_tiles, PRODUCT, MACHINE, double=True), path)
    assert path.stat().st_size > 5_000
    with pytest.raises(InputError, match="expected a png, svg or pdf"):
        draw(certified(map_tiles, PRODUCT, MACHINE), tmp_path / "nest.xyz")
