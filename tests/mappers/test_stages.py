"""The slowest stage against every split by brute force, and published redistributions."""

import csv
from itertools import combinations_with_replacement, pairwise
from pathlib import Path
from random import Random

import pytest

from hwmodel.mappers.stages import balanced
from hwmodel.quantity.errors import InputError

ROWS = Path(__file__).resolve().parents[3] / "shared/data/vocab_parallel/exp_one_host.csv"


def best(layers: list[float], stages: int, first: float, last: float) -> float:
    """The least of all splits, one by one."""
    found = float("inf")
    for cuts in combinations_with_replacement(range(len(layers) + 1), stages - 1):
        ends = [0, *cuts, len(layers)]
        loads = [sum(layers[a:b]) for a, b in pairwise(ends)]
        loads[0] += first
        loads[-1] += last
        found = min(found, max(loads))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_no_split_is_better_and_the_certificate_says_so(seed: int) -> None:
    random = Random(seed)
    layers = [random.uniform(0.5, 2) for _ in range(random.randint(5, 9))]
    stages, first, last = random.randint(2, 4), random.uniform(0, 1), random.uniform(0, 5)
    found = balanced(layers, stages, first=first, last=last)
    assert found.slowest == pytest.approx(best(layers, stages, first, last))
    assert sum(found.layers) == len(layers)
    assert found.certificate.mapspace_gap < 1e-6
    assert found.certificate.bound <= found.slowest


@pytest.mark.skipif(not ROWS.is_file(), reason="needs ../shared/data/vocab_parallel")
def test_published_redistributions_have_no_faster_slowest_stage() -> None:
    """FLOPs of each stage's forward pass stand in the rows: layers, and the head in the last."""
    checked = 0
    with ROWS.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if "_redis_" not in row[0]:
                continue
            sequence, hidden, vocabulary, layers = (int(row[at]) for at in (2, 3, 4, 5))
            layer = 24 * hidden**2 * sequence + 4 * sequence**2 * hidden
            head = 2 * sequence * hidden * vocabulary
            found = balanced([layer] * layers, 8, last=head)
            flop = [float(cell) / 128 for cell in row if cell.isdigit() and len(cell) == 15][:8]
            assert len(flop) == 8
            published = [*flop[:7], flop[7]]
            assert found.slowest <= max(published) * (1 + 1e-9)
            checked += 1
    assert checked == 8


def test_a_head_of_many_layers_keeps_the_last_stage_to_itself() -> None:
    """256,000 rows at width 3,072 and 2,048 tokens are 6.25 layers: 32 on the other seven."""
    found = balanced([1.0] * 32, 8, last=6.25)
    assert found.layers[-1] == 0
    assert found.slowest == 6.25
    assert found.certificate.optimal_in_mapspace


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="need 8 layers; found 7"):
        balanced([1.0] * 7, 4, least=2)
    with pytest.raises(InputError, match="stages: expected 1 or more"):
        balanced([1.0], 0)
