"""Parameters of every architecture that is read equal those that transformers builds."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.config import SHIPPED, shipped_configs
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.registry import known

COUNTED = Path(__file__).resolve().parents[3] / "validation/data/transformers/counts.jsonl"
CONFIGS = Path(__file__).resolve().parents[4] / "shared/data/configs"


@cache
def counted() -> tuple[dict[str, Any], ...]:
    """What transformers built, one record a model; the first line holds versions."""
    lines = COUNTED.read_text(encoding="utf-8").splitlines()
    return tuple(record for line in lines if "parameters" in (record := json.loads(line)))


SMALL = [each for each in counted() if "config" in each and known(each["model_type"])]
REAL = {each["file"]: each["parameters"] for each in counted() if "file" in each}


def of_text(each: dict[str, Any]) -> int:
    """Parameters of the language model beside other towers."""
    words = (".language_model.", "language_model.", "lm_head.")
    names = (name for name in each["modules"] if any(word in name for word in words))
    return sum(each["modules"][name] for name in names)


def test_the_versions_that_counted_are_written_down() -> None:
    first = json.loads(COUNTED.read_text(encoding="utf-8").splitlines()[0])
    assert set(first) == {"transformers", "torch", "date"}


@pytest.mark.parametrize("each", SMALL, ids=lambda each: each["model_type"])
def test_a_small_model_of_each_architecture_has_as_many(each: dict[str, Any]) -> None:
    found = model(each["config"])
    if any("text_config alone" in words for words in found.warnings):
        assert found.parameters == of_text(each)
    else:
        assert found.parameters == each["parameters"]


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_config_has_as_many(name: str) -> None:
    assert model(name).parameters == REAL[f"{name}.json"]
    said = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))["_source"]
    assert f" {REAL[f'{name}.json']:,} parameters" in said
