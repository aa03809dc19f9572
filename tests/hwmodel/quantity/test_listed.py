"""Names that notebooks complete: behind a dot, in brackets, by a call."""

import pickle

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.listed import Listed, identifier


def test_what_is_listed_is_completed_behind_a_dot_and_in_brackets() -> None:
    assert "h200" in dir(hw.devices)
    assert "llama_3_1_8b" in dir(hw.models)
    assert hw.devices.h200 is hw.device("h200") is hw.devices["h200"]
    assert hw.models.llama_3_1_8b.name == "llama-3.1-8b"
    assert hw.predict(
        hw.workloads.gemm(M=64, N=64, K=64), hw.devices.a100, kernel=hw.libraries.cublas
    )
    assert {"vllm", "trtllm"} <= set(dir(hw.engines))
    assert hw.engines.vllm.name == "vllm"


@pytest.mark.parametrize("name", ["devices", "models", "libraries", "engines"])
def test_every_name_is_said_in_one_way_behind_a_dot(name: str) -> None:
    value: Listed[object] = getattr(hw, name)
    assert type(value) is Listed
    said = dir(value)
    assert len(set(said)) == len(said) > 1
    assert all(each.isidentifier() for each in said)
    keys: list[str] = getattr(value, "_ipython_key_completions_")()  # noqa: B009
    assert sorted(map(identifier, keys)) == said
    assert repr(value).startswith(f"<{name}: {len(said)}, ")
    assert pickle.loads(pickle.dumps(value)) is value


def test_a_name_that_is_not_listed_is_refused_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"unknown device 'h2000' \(did you mean 'h200' or"):
        _ = hw.devices.h2000
    with pytest.raises(UnknownNameError, match="h2000"):
        _ = hw.devices["h2000"]
    assert not hasattr(hw.devices, "__array__")


@pytest.mark.parametrize("name", ["devices", "models", "libraries", "engines"])
def test_names_are_gone_through_counted_and_looked_up(name: str) -> None:
    value: Listed[object] = getattr(hw, name)
    names, text = list(value), str(value())
    assert all(name in text for name in names)
    assert len(value) == len(names)
    assert names[0] in value
    assert "nothing of that name" not in value
