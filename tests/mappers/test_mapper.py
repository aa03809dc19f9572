"""A user's mapper on each kind of machine: counted anew, certified, refused where it is wrong."""

from collections.abc import Mapping as Table
from functools import partial
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.gpu_tiles import Launches, rank_tiles
from hwmodel.mappers.mapper import Mapped, Proposal
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.mappers.patches import Patching
from hwmodel.mappers.reuse import Factors
from hwmodel.quantity.errors import CapacityError, HwmodelError, InputError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping

PRODUCT = hw.workloads.gemm(M=512, N=512, K=512, dtype="int8")
DENSE = hw.workloads.gemm(M=1, N=8, K=16, dtype="int16")
WORDS = hw.workloads.cnn("mcunet-vww1")


def square(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Table[str, float],
    side: int = 128,
    **claims: Any,
) -> Proposal:
    """One square tile of the output, sums of 4 bytes."""
    tiles = (Loop("m", side), Loop("n", side), Keep("C", "buffer"), Loop("k", 1))
    inner = (Keep("A", "buffer"), Keep("W", "buffer"), Compute("C"))
    return Proposal(Mapping(cascade.name, hardware.name, (*tiles, *inner)), **claims)


def proposing(choice: object) -> Any:
    """A mapper that always proposes the same."""

    def fixed(*_: Any, objective: str, capacities: Table[str, float]) -> Proposal:
        return Proposal(choice)

    return fixed


def test_a_users_nest_is_counted_by_the_model_and_bounded() -> None:
    """512 / 128 = 4 turns: A and W come 4 times in bytes, C goes out once in 4 bytes each."""
    found = hw.map(PRODUCT, on="peer-a2", mapper=square)
    assert found.value == 2 * 4 * 512 * 512 + 4 * 512 * 512
    ours = hw.map(PRODUCT, on="peer-a2")
    assert found.bound == ours.bound < ours.value < found.value
    assert found.gap == pytest.approx(1 - found.bound / found.value)
    assert not found.certificate.optimal_in_mapspace
    assert found.certificate.mapspace == "square"
    in_time = hw.map(PRODUCT, on="peer-a2", mapper=square, objective="latency")
    assert (in_time.certificate.unit, in_time.value) == ("s", in_time.record()["time_s"])


def test_a_claim_is_kept_where_the_value_allows_it() -> None:
    proven = hw.map(PRODUCT, on="peer-a2", mapper=partial(square, optimal=True))
    assert proven.certificate.optimal_in_mapspace
    assert proven.gap > 0
    value = proven.value
    near = hw.map(PRODUCT, on="peer-a2", mapper=partial(square, least=0.99 * value))
    assert near.certificate.mapspace_gap == pytest.approx(0.01)
    half = hw.map(PRODUCT, on="peer-a2", mapper=partial(square, least=0.5 * value))
    assert half.certificate.mapspace_gap == half.gap < 0.5  # the bound for any schedule says more
    assert hw.map(PRODUCT, on="peer-a2", mapper=partial(square, expected=value)).value == value
    with pytest.raises(HwmodelError, match=r"expects traffic 7 bytes, its choice has 3145728;"):
        hw.map(PRODUCT, on="peer-a2", mapper=partial(square, expected=7.0))
    with pytest.raises(HwmodelError, match=r"above the value .* one of the two is wrong"):
        hw.map(PRODUCT, on="peer-a2", mapper=partial(square, least=1e12))


def test_our_mappers_have_the_same_signature() -> None:
    mine = hw.map(PRODUCT, on="peer-a2", mapper=partial(map_tiles, mapspace="divisors"))
    assert mine.value == hw.map(PRODUCT, on="peer-a2", mapspace="divisors").value
    assert mine.certificate.optimal_in_mapspace


def test_what_does_not_fit_or_is_no_nest_is_refused() -> None:
    with pytest.raises(CapacityError, match="buffer"):
        hw.map(PRODUCT, on="peer-a2", mapper=partial(square, side=256))
    with pytest.raises(InputError, match=r"expected a loop nest .* found 3"):
        hw.map(PRODUCT, on="peer-a2", mapper=proposing(3))
    with pytest.raises(InputError, match="mapper <lambda>: expected a Proposal"):
        hw.map(PRODUCT, on="peer-a2", mapper=lambda *_, **__: "m by 128")  # pyright: ignore


def test_one_launch_record_of_a_gpu_is_timed_and_bounded() -> None:
    second = rank_tiles(PRODUCT, hw.device("h200"))[1]
    found = hw.map(PRODUCT, on="h200", mapper=proposing(Launches((second.tile,))))
    assert found.value == second.time_s
    assert not found.certificate.optimal_in_mapspace
    best = hw.map(PRODUCT, on="h200")
    assert best.certificate.optimal_in_mapspace
    assert 0 < best.bound == found.bound <= best.value <= found.value
    with pytest.raises(InputError, match="launch records of the gemm menu that fit"):
        hw.map(PRODUCT, on="h200", mapper=proposing(Launches(("128 x 128",))))


def test_reuse_factors_of_an_fpga_are_built_and_bounded() -> None:
    """16 x 8 weights of 16 bits: reuse 16 is legal (8 multipliers), 5 does not divide."""
    found = hw.map(DENSE, on="u250", mapper=proposing(Factors((16,))))
    assert found.record()["dsp"] == 8
    assert found.value > hw.map(DENSE, on="u250").value
    with pytest.raises(InputError, match=r"legal reuse factor .* found 5"):
        hw.map(DENSE, on="u250", mapper=proposing(Factors((5,))))
    with pytest.raises(InputError, match="Factors of 1 layers"):
        hw.map(DENSE, on="u250", mapper=proposing(Factors((16, 16))))
    few = hw.device("u250").but(resources={"dsp": 7})
    with pytest.raises(CapacityError, match="8 dsp of 7"):
        hw.map(DENSE, on=few, mapper=proposing(Factors((16,))))


def test_patches_of_a_microcontroller_are_predicted_and_bounded() -> None:
    found = hw.map(WORDS, on="stm32h743", mapper=proposing(Patching(2, 5)))
    same = hw.predict(hw.workloads.cnn("mcunet-vww1", patches=2, split=5), on="stm32h743")
    assert found.value == same.time_s
    assert found.value > found.bound
    small = hw.device("stm32h743").but(sram={"capacity": "16 KiB"})
    with pytest.raises(CapacityError, match="the one proposed, 2 x 2 patches over 5 layers, needs"):
        hw.map(WORDS, on=small, mapper=proposing(Patching(2, 5)))
    with pytest.raises(InputError, match=r"expected hwmodel\.mappers\.patches\.Patching"):
        hw.map(WORDS, on="stm32h743", mapper=proposing((2, 5)))


@pytest.mark.parametrize(
    ("work", "on"), [(PRODUCT, "peer-a2"), (PRODUCT, "h200"), (DENSE, "u250"), (WORDS, "stm32h743")]
)
def test_answers_of_all_machines_carry_the_same_proof(work: Any, on: str) -> None:
    found = hw.map(work, on=on)
    assert isinstance(found, hw.Mapped)
    record = found.record()
    assert found.certificate.record().items() <= record.items()
    assert (record["value"], record["bound"], record["gap_to_bound"]) == (
        *(found.value, found.bound),
        found.gap,
    )
    assert found.certificate.words in " ".join(str(found).split())
    assert Mapped(found.certificate).record() == found.certificate.record()
    assert found.certificate.words in str(Mapped(found.certificate))


def test_placements_carry_it_too() -> None:
    placed = hw.place([[4.0, 3.0, 2.0, 1.0]], devices=2)
    assert isinstance(placed, hw.Mapped)
    assert placed.value >= placed.bound
