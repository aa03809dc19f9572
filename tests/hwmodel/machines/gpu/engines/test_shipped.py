"""Engines by name."""

import pytest

import hwmodel as hw
from hwmodel.machines.gpu.engines.shipped import ENGINES, PLAIN, engine


def test_an_engine_is_found_by_its_name_or_is_its_own_value() -> None:
    for name, value in ENGINES.items():
        assert engine(name) is value
        assert engine(value) is value


def test_the_plain_stack_is_no_engine() -> None:
    assert engine(None) is None
    assert engine(PLAIN) is None


def test_an_engine_that_nobody_ships_is_refused_with_the_list() -> None:
    told = r"unknown engine 'vlm'.*known: sglang, torch, transformers, trtllm, vllm"
    with pytest.raises(hw.HwmodelError, match=told):
        engine("vlm")
