"""Tables are read between their nodes, and every kernel of a step is in one group of them."""

import pytest

import hwmodel as hw
from hwmodel.machines.driver import machine_of
from hwmodel.machines.gpu.engines.shipped import ENGINES
from hwmodel.systems.serving.step_tables import Ask, Largest, add, between, mix, tables


def test_sizes_between_nodes_are_told_by_how_far_they_are() -> None:
    assert between([1, 2, 6], 3) == (1, 2, 0.25)
    assert between([1, 2, 6], 0.5) == (0, 0, 0.0)
    assert between([1, 2, 6], 8) == (1, 2, 1.5)
    assert mix((0, 1, 2, 3), (4, 1, 0, 3), 0.25) == (1, 1, 1.5, 3)
    assert add((1, 2, 3, 4), (1, 1, 1, 1)) == (2, 3, 4, 5)


def test_groups_of_a_mixed_step_are_all_of_its_kernels() -> None:
    """At a point of every grid the groups' seconds are those of its kernels, each alone."""
    ask = Ask(hw.model("llama-3.1-8b"), machine_of("h100"), ENGINES["vllm"], None, None, "uniform")
    costs = ask.engine.costs(ask.machine.calibration).values
    made = tables(ask, Largest(tokens=512, sequences=64, context=2048), 2.0, costs)
    batch, tokens, cached = 1, made.chunks.tokens[1][4], made.chunks.cached[3]
    _, parts = ask.stepped(ask.mixed(batch, made.contexts[5], 1, tokens, cached))
    spent = sum(float(part.times * part.time_s) for part in parts)
    groups = (
        made.tokens[batch + tokens],
        made.sequences[2],
        made.attending[batch][5],
        made.chunks.at(1, tokens, cached),
    )
    assert sum(each[0] for each in groups) == pytest.approx(spent, rel=1e-3)
    assert all(each[0] > 0 for each in groups)
