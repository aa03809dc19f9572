"""Parameters of every architecture that is read equal those that transformers builds."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.config import SHIPPED, shipped_configs
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.registry import known

COUNTED = Path(__file__).resolve().parents[3] / "validation/data/transformers/counts.jsonl"
CONFIGS = Path(__file__).resolve().parents[4] / "shared/data/configs"


@cache
def counted() -> tuple[dict[str, Any], ...]:
    """What transformers built, one record a model; the first line holds versions."""
    lines = COUNTED.read_text(encoding="utf-8").splitlines()
    return tuple(record for line in lines if "parameters" in (record := json.loads(line)))


def read(each: dict[str, Any]) -> bool:
    """Whether a small model is read: it, or its text, which was counted apart, with a head."""
    text = each["config"].get("text_config", {}).get("model_type")
    alone = "text" in each and "lm_head.weight" in each["modules"]
    return known(each["model_type"]) or (alone and known(text))


SMALL = [each for each in counted() if "config" in each and read(each)]
REAL = {each["file"]: each for each in counted() if "file" in each}


def expected(found: Model, each: dict[str, Any]) -> int:
    """Parameters of the whole, or of the text where that alone is read."""
    alone = any("text_config alone" in told for told in found.warnings)
    return each["text" if alone else "parameters"] - idle(each)


def idle(each: dict[str, Any]) -> int:
    """Parameters that no checkpoint has: transformers makes room for gates of idle experts too."""
    if each["model_type"] != "longcat_flash":
        return 0
    scored = 256 + each["config"]["n_routed_experts"]
    return each["modules"]["model.layers.*.mlp.experts.gate_up_proj"] * 256 // scored


def test_the_versions_that_counted_are_written_down() -> None:
    first = json.loads(COUNTED.read_text(encoding="utf-8").splitlines()[0])
    assert set(first) == {"transformers", "torch", "date"}


@pytest.mark.parametrize("each", SMALL, ids=lambda each: each["model_type"])
def test_a_small_model_of_each_architecture_has_as_many(each: dict[str, Any]) -> None:
    found = model(each["config"])
    assert found.parameters == expected(found, each)


def seeing(each: dict[str, Any]) -> int:
    """Parameters of the vision tower that transformers built."""
    modules = each["modules"].items()
    return sum(n for name, n in modules if ".visual." in name or ".vision_tower." in name)


def tower(each: dict[str, Any]) -> bool:
    """Whether a small model has a vision tower whose architecture is read."""
    own = each["config"].get("vision_config", {}).get("model_type")
    return known(f"{each['model_type']}_vision") or known(own)


TOWERS = [each for each in counted() if "config" in each and tower(each) and seeing(each)]


@pytest.mark.parametrize("each", TOWERS, ids=lambda each: each["model_type"])
def test_a_small_vision_tower_has_as_many(each: dict[str, Any]) -> None:
    assert model(each["config"], part="vision").parameters == seeing(each)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_vision_tower_of_usual_sizes_is_what_the_text_leaves_of_the_whole(family: str) -> None:
    each = REAL[f"tfdefault--{family}.json"]
    found = model({"model_type": family, "vision_config": {}}, part="vision")
    assert found.parameters == each["parameters"] - each["text"]


def test_vision_towers_are_of_these_families() -> None:
    families = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "llava", "llava_next", "gemma3"}
    assert families | {"mistral3", "paligemma"} <= {each["model_type"] for each in TOWERS}


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_config_has_as_many(name: str) -> None:
    found, each = model(name), REAL[f"{name}.json"]
    assert found.parameters == expected(found, each)
    said = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))["_source"]
    assert f" {each['parameters']:,} parameters" in said
