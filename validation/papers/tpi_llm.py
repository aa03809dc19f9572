"""TPI-LLM's edge cluster (arXiv 2410.00531): star all-reduces, memory of devices, streamed weights.

Eight devices on links of 300 Mb/s; a message from one to another crosses four links of latency t,
so that a ring of 7 + 7 steps waits 56 t and a star 8 t. An example of the paper has attention, MLP
and all-reduce of 11, 17 and 14 ms and loads of 18 and 30 ms: behind the next block alone they do
not hide, over both they do. Memory without the scheduler is that of a share of Llama-2-70B in fp32;
with it, blocks stream from the drive (`offload`), and the master holds both ends undivided.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.network.topologies import topology
from hwmodel.network.ways import ways_on
from hwmodel.spine.activity import fold
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.offload import Block, looped
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "TPI-LLM"
DEVICES, HOPS, HOP_S = 8, 4, 1e-3
MEASURED = {2: 130.0, 4: 66.6, 8: 34.9}
"""GB of a device without the scheduler, by devices."""
ATTENTION_S, MLP_S, REDUCE_S, LOADS_S = 0.011, 0.017, 0.014, (0.018, 0.030)


PAPER = "paper, read in excerpts"


def waits(given: Given) -> tuple[Claim, ...]:
    """Link latencies that an all-reduce waits."""
    return tuple(
        Claim(
            *(SYSTEM, f"link latencies that a {name} waits", published),
            *(waited_s(given, name) / HOP_S, 1e-3, PAPER),
        )
        for name, published in (("ring", 56), ("star", 8))
    )


def window(given: Given) -> tuple[Claim, ...]:
    """What hides behind what."""
    two, four = (streamed_s(given, places) for places in (2, 4))
    work_s = ATTENTION_S + MLP_S + 2 * REDUCE_S
    return (
        Claim(
            *(SYSTEM, "layer over its work, blocks far ahead", 1.0, four / work_s, EXACT, PAPER),
            identity=True,
        ),
        Claim(
            *(SYSTEM, "layer with one block ahead, ms", 61, two * 1e3, EXACT, "derived: 30 + 31"),
            identity=True,
        ),
    )


def memory(given: Given) -> tuple[Claim, ...]:
    """Gigabytes of a device, without the scheduler and with it."""
    held = {n: gigabytes(given, n) for n in MEASURED}
    places = given("blocks in memory", 2)
    away = {"rate": "2 GB/s", "window": places}
    streams = gigabytes(given, DEVICES, ends="whole", offload=away)
    return (
        *(
            Claim(
                *(SYSTEM, f"GB of each of {n} devices, 70B", gb, held[n], 0.1, PAPER),
                within="both ends, which the master has whole",
            )
            for n, gb in MEASURED.items()
        ),
        Claim(
            *(SYSTEM, "GB of the master with the scheduler, 70B", 3.1, streams, 0.1, "abstract"),
            within="what a process holds beside weights: 0.3 GB by the paper's other models",
        ),
    )


def network(given: Given, devices: int) -> Any:
    """Devices that are each four links from every other one."""
    hops = given("links between two devices", HOPS, 3)
    link = {"bandwidth": "37.5 MB/s", "latency": f"{hops * HOP_S * 1e3} ms"}
    return topology(
        {"name": "edge", "generate": "mesh", "with": {"devices": devices, "link": link}}
    )


def waited_s(given: Given, algorithm: str) -> float:
    """Seconds of an all-reduce of next to nothing."""
    (way,) = ways_on(
        "all_reduce", 8, network(given, DEVICES), [range(DEVICES)], (1,) * DEVICES, [algorithm]
    )
    return float(fold(way.tree, way.rates).time_s)


def streamed_s(given: Given, window: int) -> float:
    """Seconds of a layer, of 16 in a loop."""
    attention, mlp = (each * given("seconds of a load, times", 1) for each in LOADS_S)
    layer = [Block(attention, ATTENTION_S + REDUCE_S), Block(mlp, MLP_S + REDUCE_S)]
    return looped(layer * 16, window).period_s / 16


def llama(given: Given) -> Model:
    """Llama-2-70B in fp32."""
    return model(
        {
            **{"model_type": "llama", "name": "llama-2-70b", "torch_dtype": "float32"},
            **{
                "num_hidden_layers": given("layers", 80),
                "hidden_size": 8192,
                "intermediate_size": 28672,
            },
            **{"num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 32000},
        }
    )


def gigabytes(given: Given, devices: int, ends: str = "divided", **how: Any) -> float:
    """Of a device's weights; with whole `ends` of the master's."""
    found: Estimate = predict(
        llama(given).decode(1, 256),
        given.device("xeon-8380") * devices,
        parallel={"tp": devices, "ends": ends},
        topology=network(given, devices),
        **how,
    )
    assert found.serving is not None
    return float(found.serving.memory.weights_bytes) / devices / 1e9


PROGRAMS = (waits, window, memory)
