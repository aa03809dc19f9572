"""Networks layer by layer: the answer of `predict`, the sum of the layers' own, its proof."""

import json
import math
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.network import Stack
from hwmodel.mappers.nests.network import NetworkMapped
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.cases import predict_lines

SMALL = hw.device("peer-a3").but(buffer={"capacity": "4 KiB"})


def network(tmp_path: Any) -> Stack:
    """Two layers of one form between others."""
    layers = [
        {"kind": "linear", "name": f"fc{at}", "filters": n} for at, n in enumerate((16, 16, 16, 8))
    ]
    path = tmp_path / "net.json"
    path.write_text(json.dumps({"resolution": 1, "channels": 16, "layers": layers}))
    return hw.workloads.cnn(network=str(path), dtype="int8")


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_a_network_is_the_sum_of_its_layers_with_their_bounds(
    objective: str, tmp_path: Any
) -> None:
    work = network(tmp_path)
    found = hw.map(work, on=SMALL, objective=objective)
    assert isinstance(found, NetworkMapped)
    each = [
        hw.map(stage.cascade, on=SMALL, objective=objective).certificate for stage in work.stages
    ]
    if objective == "edp":
        assert found.value == pytest.approx(found.energy_j * found.time_s)
        least = sum(math.sqrt(proof.value) for proof in each) ** 2
        assert found.certificate.mapspace_bound == pytest.approx(least)
        assert least <= found.value * (1 + 1e-12)
    else:
        assert found.value == pytest.approx(sum(proof.value for proof in each))
        assert found.bound == pytest.approx(sum(proof.bound for proof in each))
    searched = {layer.name: layer.searched for layer in found.layers}
    assert [name for name, new in searched.items() if not new] == ["fc1", "fc2"]
    rows = found.record()["layers"]
    assert [row["layer"] for row in rows] == list(searched)
    assert "as before" in str(found)


def test_predict_is_the_same_and_says_of_each_layer_how_good_it_is(tmp_path: Any) -> None:
    work = network(tmp_path)
    found = hw.map(work, on=SMALL, objective="latency")
    assert isinstance(found, NetworkMapped)
    said = hw.predict(work, on=SMALL)
    assert float(said.time_s) == pytest.approx(found.time_s)
    assert float(said.energy_j) == pytest.approx(found.energy_j)
    gaps = [layer.mapped.certificate.mapspace_gap for layer in found.layers]
    assert [row["mapspace_gap"] for row in said.by_layer] == gaps
    assert "to bound" not in str(hw.predict(work.stages[1].cascade, on=SMALL))
    assert "gap to bound" in str(said)


def test_a_limit_of_time_reaches_the_search_from_python_and_from_lines() -> None:
    work = hw.workloads.gemm(M=120, N=120, K=120, dtype="int8", out_dtype="int8")
    hurried = hw.predict(work, on=SMALL, kernel="energy", time_limit_s=0)
    assert any("above the best" in warning for warning in hurried.warnings)
    line = {"workload": "gemm", "M": 120, "N": 120, "K": 120, "dtype": "int8", "on": "peer-a3"}
    (answer,) = predict_lines([json.dumps({**line, "kernel": "energy", "time_limit_s": 0})])
    assert any("above the best" in warning for warning in answer["warnings"])
    with pytest.raises(InputError, match="where no mapping is searched"):
        hw.predict(work, on="h200", time_limit_s=1)
    with pytest.raises(InputError, match="time_limit_s: expected seconds"):
        hw.predict(work, on=SMALL, time_limit_s=-1)


def test_a_chain_that_is_not_fused_runs_one_by_one_and_says_why() -> None:
    """A stride of 2 leaves the last of 8 rows unread, which a fused maker would not make."""
    text = """
    tensor I[c, i]: int8
    tensor F[k, c, r]: int8
    tensor Z[k, h]: int8
    tensor G[l, k, u]: int8
    tensor Y[l, y]: int8
    Z[k, h] = sum(c, r) I[c, h+r] * F[k, c, r]
    Y[l, y] = sum(k, u) Z[k, 2*y+u] * G[l, k, u]
    """
    sizes = {"i": 10, "h": 8, "y": 3, "c": 2, "k": 4, "l": 4, "r": 3, "u": 3}
    work = hw.parse(text, sizes=sizes)
    found, said = hw.map(work, on=SMALL, objective="latency"), hw.predict(work, on=SMALL)
    assert isinstance(found, NetworkMapped)
    assert float(said.time_s) == pytest.approx(found.time_s)
    assert "windows ask for 7" in str(found)
    assert any("windows ask for 7" in warning for warning in said.warnings)
