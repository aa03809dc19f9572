"""Megatron-LM: every claim holds, and would not under another memory or another pipeline."""

import pytest

from hwmodel.validation.papers import megatron
from hwmodel.validation.papers.claim import Claim


def test_every_figure_holds() -> None:
    missed = [(c.quantity, c.published, c.ours) for c in megatron.claims() if not c.holds]
    assert not missed


def test_activations_are_exact_and_a_chunk_more_would_be_noticed() -> None:
    exact = [c for c in megatron.claims() if "activations" in c.quantity]
    assert len(exact) == 8
    assert all(c.ours == c.published for c in exact)
    other: Claim = exact[2]
    assert not Claim("", "", other.published, other.ours * 1.01, other.tolerance, "").holds


def test_parameters_are_those_of_the_table_to_a_tenth_of_a_billion() -> None:
    found = [c for c in megatron.claims() if c.quantity.endswith("parameters")]
    assert [c.published for c in found] == pytest.approx([c.ours for c in found], abs=0.06)
