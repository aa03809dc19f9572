"""Networks compute what transformers does: cascade by cascade, on the same weights."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.workloads.model import model
from tests.einsum.workloads.computed import Computed

RECORDED = Path(__file__).resolve().parents[3] / "validation/data/transformers/logits.jsonl"


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """Config and logits by model type."""
    lines = RECORDED.read_text(encoding="utf-8").splitlines()[1:]
    return {each["config"]["model_type"]: each for each in map(json.loads, lines)}


@pytest.mark.parametrize("model_type", recorded())
def test_a_network_computes_what_transformers_does(model_type: str) -> None:
    each = recorded()[model_type]
    found = Computed(model(each["config"]), each["config"]).logits()
    want = np.array(each["logits"])
    # transformers keeps norms and scores in single precision
    assert np.linalg.norm(found - want) < 1e-5 * np.linalg.norm(want)
