"""SGLang's engine: its products, a greedy choice, prompts and decode apart, memory by its chunk."""

from dataclasses import replace
from typing import Any, cast

import pytest

import hwmodel as hw
from hwmodel.machines.gpu.engines.engine import Graphs
from hwmodel.machines.gpu.engines.sglang import ENGINE
from hwmodel.machines.gpu.engines.step import memory as memory_of
from hwmodel.machines.gpu.engines.step import step_of

MODEL = hw.model("llama-3.1-8b", quantise="fp8")


def test_products_are_its_own_and_narrow_their_rows() -> None:
    made = hw.predict(MODEL.decode(batch=64, context=1024), "h100", engine="sglang")
    parts = {part.name: part for part in made.parts}
    assert "sglang:fp8" in parts["gate-up"].family
    assert "token" in parts
    assert not parts.keys() & {"attention to fp8", "temperature", "race"}
    assert (
        "uncalibrated: host:sglang: the host's costs are priors, not measurements" in made.warnings
    )


def test_memory_beside_weights_and_cache_follows_the_chunk() -> None:
    """12 GiB of a chunk of 8,192 tokens, 3 of 2,048."""
    machine, work = hw.device("h100"), MODEL.decode(1, 1024)
    small = ENGINE.but(memory=replace(ENGINE.memory, most_tokens=2048))
    kept = [
        float(memory_of(step_of(work, machine, engine), machine).activations_bytes)
        for engine in (ENGINE, small)
    ]
    assert kept[0] - kept[1] == pytest.approx(9 * 2**30)


def test_a_stream_never_decodes_beside_a_prompt() -> None:
    """Its rules are taken where none are asked for; tokens then wait for whole prompts."""
    stream = hw.model("llama-3.2-1b").serving(rate_per_s=20, input=2000, output=50, requests=60)
    streams = (stream, replace(stream, scheduler="vllm"))
    own, mixed = (cast(Any, hw.predict(each, "h200", engine="sglang")) for each in streams)
    assert (own.scheduler, mixed.scheduler) == ("sglang", "vllm")
    assert own.tpot_s != mixed.tpot_s


@pytest.mark.parametrize(
    ("on", "tp", "largest", "chunk"),
    [
        ("h200", 2, 256, 8192),
        ("h200", 4, 512, 8192),
        ("l40s", 1, 32, 4096),
        ("b200", 1, 512, 16384),
    ],
)
def test_graphs_and_chunks_follow_the_devices_memory_and_tp(
    on: str, tp: int, largest: int, chunk: int
) -> None:
    machine = hw.device(on) * tp
    step = step_of(MODEL.decode(1, 1024, parallel={"tp": tp}), machine, ENGINE)
    assert step.engine.graphs.largest == largest
    assert step.engine.memory.most_tokens == chunk
    told = step_of(MODEL.decode(1, 1024), machine, ENGINE.but(graphs=Graphs((1, 2))))
    assert told.engine.graphs.largest == 2
