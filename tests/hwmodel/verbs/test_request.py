"""Requests: which fields a workload takes, and which requests are answered together."""

import inspect
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.division import SAID
from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.einsum.workloads.collective import collective
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.network.topologies import topology
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.verbs.request import answerer, builder, fields_of, machine, read, workloads
from hwmodel.verbs.scales import SCALED

GEMM: dict[str, Any] = {"workload": "gemm", "M": 8, "N": 16, "K": 32, "on": "h200"}


@pytest.mark.parametrize("workload", workloads())
def test_every_workload_has_a_device_and_sizes(workload: str) -> None:
    fields = fields_of(workload)
    assert fields["on"].needed
    # Their sizes decide their structure.
    whole = workload in ("cnn", "exported", "pruned_attention", "training", "serving")
    assert any(field.size for field in fields.values()) != whole


@pytest.mark.parametrize("workload", WORKLOADS)
def test_fields_are_the_arguments_of_the_workload(workload: str) -> None:
    arguments = set(inspect.signature(WORKLOADS[workload]).parameters) - {"name"}
    assert not arguments & {"on", "kernel", "parallel", "topology", "tp"} or workload in (
        *("llm", "training", "serving"),
    )  # none hides another
    folded = {"scales"} if workload in SCALED else set[str]()
    folded |= set(SAID) if workload == "llm" else set()
    run = {"on", "kernel", "memory", "parallel", "topology", "engine", "l2", "offload"}
    run |= {"time_limit_s"}
    assert set(fields_of(workload)) == arguments | run | folded


def test_sizes_are_told_from_what_decides_the_structure() -> None:
    fields = fields_of("attention")
    assert {name for name, field in fields.items() if field.size} == {
        *("batch", "heads", "queries", "keys", "head_dim", "kv_heads", "value_dim", "window")
    }
    assert not fields["tile"].size
    assert not fields["splits"].size


def test_requests_that_differ_in_sizes_only_have_one_form() -> None:
    small, large = read(GEMM), read({**GEMM, "M": 4096})
    assert small.form == large.form
    assert (small.sizes["M"], large.sizes["M"]) == (8, 4096)
    for change in ({"on": "a100"}, {"dtype": "fp8"}, {"kernel": "triton"}, {"batch": 2}):
        assert read({**GEMM, **change}).form != small.form


def test_an_absent_field_and_null_are_the_same() -> None:
    assert read({**GEMM, "kernel": None, "batch": None}) == read(GEMM)


def test_a_form_answers_its_sizes() -> None:
    request = read(GEMM)
    estimate = answerer(request.form)(request.sizes)
    assert estimate.bound_bytes == 2 * (8 * 32 + 16 * 32 + 8 * 16)


def test_a_whole_float_is_a_size() -> None:
    assert read({**GEMM, "M": 1e6}).sizes["M"] == 10**6


def test_bytes_may_carry_a_unit() -> None:
    case = {"workload": "collective", "op": "p2p", "bytes": "3 MiB", "ranks": 2, "on": "h200"}
    assert read(case).sizes["bytes"] == 3 * 2**20


def test_a_collective_on_a_topology_is_costed_on_its_links() -> None:
    case = {
        "workload": "collective",
        "op": "all_reduce",
        "bytes": "64 MiB",
        "ranks": 4,
        "on": "h100",
    }
    request = read({**case, "topology": "dgx-h100"})
    expected = predict(
        collective("all_reduce", 64 * 2**20, 4), device("h100"), topology=topology("dgx-h100")
    )
    assert answerer(request.form)(request.sizes).time_s == expected.time_s
    sizes = {"bytes": np.array([1e6, 1e8]), "ranks": np.array([4.0, 4.0])}
    assert np.shape(answerer(request.form)(sizes).time_s) == (2,)
    assert request.form != read({**case, "ranks": 8, "topology": "dgx-h100"}).form
    with pytest.raises(UnknownNameError, match="dgx-h100"):
        answerer(read({**case, "topology": "dgx-h10"}).form)


def test_a_collective_is_a_workload_as_any_other() -> None:
    case = {"workload": "collective", "op": "all_reduce", "bytes": 800, "ranks": 8, "on": "h200"}
    request = read(case)
    made = builder(request.fixed)(request.sizes)
    assert (made.name, made.stages[0].cascade.einsums) == ("all_reduce", ())
    with pytest.raises(InputError, match="unknown library of collectives 'cublas'"):
        answerer(read({**case, "kernel": "cublas"}).form)(request.sizes)
    own = answerer(read({**case, "kernel": "vllm"}).form)(request.sizes)
    named = answerer(read({**case, "kernel": "collective=vllm"}).form)(request.sizes)
    assert own.time_s == named.time_s < answerer(request.form)(request.sizes).time_s


@pytest.mark.parametrize("topology", ["dgx-h100:nodes=2", {"name": "dgx-h100", "nodes": 2}])
def test_models_are_divided_beyond_one_switch_where_a_topology_joins_devices(
    topology: object,
) -> None:
    case = {"workload": "llm", "config": "llama-3.1-70b", "phase": "decode", "batch": 8}
    case |= {"context": 1024, "on": "h200", "tp": 16}
    request = read({**case, "topology": topology})
    found = answerer(request.form)(request.sizes)
    assert found.devices == 16
    assert {p.name for p in found.parts if p.family == "collective"} == {
        "all_reduce, tree",
        "all_gather, hierarchical",
    }
    usual = answerer(read(case).form)(request.sizes)
    assert any(
        "16 devices stand in boxes of 8, joined as those of 'h100-ndr'" in each
        for each in usual.warnings
    )
    with pytest.raises(InputError, match="tp=32 needs 32 devices; dgx-h100 has 16"):
        answerer(read({**case, "tp": 32, "topology": topology}).form)(request.sizes)


def test_a_model_is_divided_over_as_many_devices_as_asked_for() -> None:
    assert machine("h200", {"tp": 4}).devices == 4
    assert machine("h200").devices == 1
    assert machine("h200", {"tp": 8, "pp": 2, "dp": 3}).devices == 48
    with pytest.raises(InputError, match="parallel: tp: expected a number above 0, found 0"):
        machine("h200", {"tp": 0})
    with pytest.raises(UnknownNameError, match="unknown device"):
        machine("h2000", {"tp": 4})


def test_a_cold_l2_is_what_goes_without_saying_and_a_warm_one_is_answered() -> None:
    assert read({**GEMM, "l2": "cold"}) == read(GEMM)
    sizes = {"M": 16, "N": 1024, "K": 1024}
    answers = [
        answerer(request.form)(request.sizes)
        for request in (read({**GEMM, **sizes, "l2": state}) for state in ("cold", "warm"))
    ]
    assert 0 <= answers[1].dram_bytes_read < 0.02 * answers[0].dram_bytes_read
    request = read({**GEMM, "l2": "hot"})
    with pytest.raises(InputError, match="l2: expected one of cold, warm, found 'hot'"):
        answerer(request.form)(request.sizes)


def test_verbs_that_answer_for_a_cold_l2_refuse_a_warm_one() -> None:
    with pytest.raises(InputError, match="gemm: l2: predict, compare, sweep and cases answer"):
        builder(read({**GEMM, "l2": "warm"}).fixed)


def test_a_lone_kernel_is_refused_by_an_engine_with_what_it_runs() -> None:
    request = read({**GEMM, "engine": "vllm"})
    with pytest.raises(InputError, match="engine vllm: expected a phase of a model"):
        answerer(request.form)(request.sizes)


def test_a_number_of_devices_that_is_said_is_not_multiplied_by_the_degrees() -> None:
    ways = {"tp": 2, "dp": 4}
    assert [machine(on, ways).devices for on in ("h200", "h200 * 8", "h200 * 2")] == [8, 8, 2]
    step = {"workload": "training", "config": "llama-3.2-1b", "sequence": 256, "global_batch": 8}
    said = hw.ask("predict", **step, micro_batch=1, on="h200 * 8", **ways)
    left = hw.ask("predict", **step, micro_batch=1, on="h200", **ways)
    assert said.time_s == left.time_s
    with pytest.raises(InputError, match=r"tp=2 needs 2|expected tp x cp x dp x pp \(8\), found 4"):
        hw.ask("predict", **step, micro_batch=1, on="h200 * 4", **ways)


def test_ways_of_long_contexts_are_words_of_a_line() -> None:
    case = {"workload": "llm", "config": "llama-3.2-1b", "phase": "prefill", "prompt": 16384}
    case |= {"batch": 1, "on": "h200", "cp": 4, "attends": "ring"}
    found = [read({**case, "dealt": dealt}) for dealt in ("zigzag", "blocks")]
    even, late = (answerer(request.form)(request.sizes) for request in found)
    assert late.time_s > 1.2 * even.time_s
