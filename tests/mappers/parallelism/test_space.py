"""All legal divisions, against every product of degrees tried one by one."""

from itertools import product

import pytest

from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.model import model
from hwmodel.mappers.parallelism.space import Space, divisors
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.parallelise import step_of

DEVICES = 8


def brute(name: str, phase: str, batch: int, size: int) -> set[tuple[object, ...]]:
    """Degrees of which a phase can be made, with a sequence for each replica."""
    found: set[tuple[object, ...]] = set()
    read, degrees = model(name), range(1, DEVICES + 1)
    make = getattr(read, phase)
    for tp, cp, dp, pp in product(degrees, repeat=4):
        if tp * cp * dp * pp != DEVICES or dp > batch:
            continue
        if phase == "prefill" and cp > 1 and size < 2 * cp:
            continue
        for ep, etp, sp in product(degrees, (None, 1, 2, 4, 8), (False, True)):
            if (ep == 1) != (etp is None) or (etp is not None and tp % etp):
                continue
            if sp and tp == 1:  # which is none
                continue
            for how in ("all-gather", "ring", "token-ring", "ulysses"):
                if how != "all-gather" and (cp == 1 or phase == "decode"):
                    continue
                table = {"tp": tp, "cp": cp, "dp": dp, "pp": pp, "ep": ep, "etp": etp, "sp": sp}
                try:
                    make(batch, size, parallel={**table, "attends": how})
                except InputError:
                    continue
                found.add((tp, cp, dp, pp, ep, etp, sp, how))
    return found


@pytest.mark.parametrize(
    ("name", "phase", "batch", "size"),
    [
        ("qwen2.5-0.5b", "decode", 4, 64),  # 14 heads, 2 key heads
        ("olmoe-1b-7b", "decode", 8, 64),
        ("deepseek-v2-lite", "prefill", 4, 64),
        ("mamba-2.8b", "decode", 8, 64),  # no attention: no cp
        ("llama-3.2-1b", "prefill", 8, 8),  # prompts too short for pieces of 8 devices
    ],
)
def test_every_legal_division_is_there_once_and_no_other(
    name: str, phase: str, batch: int, size: int
) -> None:
    read = model(name)
    step = step_of(getattr(read, phase)(batch, size))
    ways = list(Space(read.network, step, DEVICES))
    found = [(w.tp, w.cp, w.dp, w.pp, w.ep, w.etp, w.sp, w.attends) for w in ways]
    assert len(ways) == len(set(ways))
    assert set(found) == brute(name, phase, batch, size)
    for each in ways:  # made without a check: the same as with one
        assert Division.of(each.given) == each


def test_micro_batches_are_all_of_a_replica_a_part_for_each_stage_or_one() -> None:
    read = model("llama-3.2-1b")
    prompts = [
        w.micro_batch
        for w in Space(read.network, step_of(read.prefill(8, 64)), 4)
        if (w.tp, w.cp, w.dp, w.pp) == (1, 1, 1, 4)
    ]
    assert prompts == [None, 1, 2]
    steps = [
        w.micro_batch
        for w in Space(read.network, step_of(read.decode(8, 64)), 4)
        if (w.tp, w.cp, w.dp, w.pp) == (2, 1, 1, 2)
    ]
    assert steps == [None, 4] * 2  # with sp and without


def test_divisors_are_in_order() -> None:
    assert divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]
    assert divisors(1) == [1]
