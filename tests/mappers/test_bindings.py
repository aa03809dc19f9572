"""The best shipped binding: what `map` says of attention on arrays is what `predict` says."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.machines import driver
from hwmodel.machines.spatial.binding import bindings
from hwmodel.mappers.bindings import BoundMapped
from hwmodel.quantity.errors import CoverageError

OBJECTIVES = ("latency", "energy", "edp")


def bert(length: int) -> Cascade:
    return hw.workloads.attention(batch=64, heads=12, queries=length, keys=length, head_dim=64)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_map_says_of_its_binding_what_predict_says(objective: str) -> None:
    mapped = hw.map(bert(16384), on="fusemax", objective=objective)
    assert isinstance(mapped, BoundMapped)
    said = hw.predict(bert(16384), on="fusemax", kernel=mapped.binding.name)
    seconds, joules = float(said.time_s), float(said.energy_j)
    assert (mapped.time_s, mapped.energy_j) == (seconds, joules)
    value = {"latency": seconds, "energy": joules, "edp": seconds * joules}[objective]
    assert mapped.value == value
    assert mapped.certificate.optimal_in_mapspace
    assert all(other >= value for other in mapped.others.values())
    assert 0 < mapped.bound <= value
    assert mapped.record()["binding"] == mapped.binding.name in str(mapped)


def test_every_binding_is_predicted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    predict = driver.predict

    def counted(*args: Any, kernel: str, **options: Any) -> Any:
        asked.append(kernel)
        return predict(*args, kernel=kernel, **options)

    monkeypatch.setattr(driver, "predict", counted)
    hw.map(bert(1024), on="fusemax", objective="latency")
    assert sorted(asked) == sorted(bindings())


@pytest.mark.parametrize("length", [1024, 2**18])
def test_map_is_no_worse_than_the_published_mapping(length: int) -> None:
    """Published seconds of BERT: 2.013e-3 at 1 Ki tokens, 118.279 at 256 Ki."""
    published = {1024: 2.013140425531915e-3, 2**18: 118.2793728}[length]
    found = hw.map(bert(length), on="fusemax", objective="latency")
    assert found.value <= published * (1 + 1e-9)


def test_what_no_binding_is_of_is_refused() -> None:
    mlp = hw.parse("T[m] = exp(A[m])\nZ[m] = T[m] * B[m]", sizes={"m": 64})
    with pytest.raises(CoverageError, match="expected objective 'traffic'"):
        hw.map(mlp, on="fusemax", objective="latency")
