"""Ranks that always stand together are searched as one, and nothing else changes."""

import random

import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.mappers.cascades import map_nests
from hwmodel.mappers.nests import levels
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.chains import NestProblem
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.spine.mapping import Loop, walk

HEADS = "Z[b,h,g,p] = Q[b,h,g,p] * K[b,h,p]"
ALIKE = "Z[a,b,c] = X[a,b,c] + Y[a,b,c]"
SUMMED = "Z[a,b] = sum(c) sum(d) X[a,b,c,d] * Y[c,d]"


def found(text: str, sizes: dict[str, int], objective: str) -> NestMapped:
    work = parse(text, sizes=sizes, dtypes={"*": "int8"})
    return certified(map_nests, work, hw.device("peer-a3"), objective=objective)


@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_that_of_the_ranks_by_themselves(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    text = (HEADS, ALIKE, SUMMED)[seed % 3]
    sizes = {rank: draw.choice((1, 2, 3, 4, 6)) for rank in "abcdhgp" if f"{rank}" in text}
    objective = ("energy", "latency")[seed % 2]
    together = found(text, sizes, objective)

    def apart(problem: NestProblem, plain: tuple[bool, ...]) -> NestProblem:
        assert len(plain) == len(problem.ranks)
        return problem

    monkeypatch.setattr(levels, "merged", apart)
    alone = found(text, sizes, objective)
    assert together.value == pytest.approx(alone.value, rel=1e-12)
    assert together.certificate.mapspace_bound == pytest.approx(
        alone.certificate.mapspace_bound, rel=1e-12
    )
    assert together.certificate.candidates <= alone.certificate.candidates


def test_loops_are_over_the_ranks_that_were_written() -> None:
    nest = found(ALIKE, {"a": 6, "b": 10, "c": 14}, "energy").mapping.nest
    loops = [node for _, node in walk(nest) if isinstance(node, Loop)]
    assert {loop.rank for loop in loops} == {"a", "b", "c"}
    for rank in "abc":
        assert [loop.tile for loop in loops if loop.rank == rank][-1] == 1
