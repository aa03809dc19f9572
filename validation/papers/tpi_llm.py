"""TPI-LLM's edge cluster (arXiv 2410.00531): star all-reduces, memory of devices, streamed weights.

Eight devices on links of 300 Mb/s; a message from one to another crosses four links of latency t,
so that a ring of 7 + 7 steps waits 56 t and a star 8 t. An example of the paper has attention, MLP
and all-reduce of 11, 17 and 14 ms and loads of 18 and 30 ms: behind the next block alone they do
not hide, over both they do. Memory without the scheduler is that of a share of Llama-2-70B in fp32;
with it, blocks stream from the drive (`offload`), and the master holds both ends undivided, where
ours are divided.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.network.collectives import ways_on
from hwmodel.network.topologies import topology
from hwmodel.spine.activity import fold
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.offload import Block, looped
from hwmodel.validation.papers.claim import Claim

SYSTEM = "TPI-LLM"
DEVICES, HOPS, HOP_S = 8, 4, 1e-3
MEASURED = {2: 130.0, 4: 66.6, 8: 34.9}
"""GB of a device without the scheduler, by devices."""
ATTENTION_S, MLP_S, REDUCE_S, LOADS_S = 0.011, 0.017, 0.014, (0.018, 0.030)


def claims() -> tuple[Claim, ...]:
    """Latencies, what hides, and memory."""
    paper = "paper, read in excerpts"
    waits = {name: waited_s(name) / HOP_S for name in ("ring", "star")}
    two, four = streamed_s(2), streamed_s(4)
    held = {n: gigabytes(n) for n in MEASURED}
    streams = gigabytes(DEVICES, offload={"rate": "2 GB/s", "window": 2})
    work_s = ATTENTION_S + MLP_S + 2 * REDUCE_S
    return (
        Claim(SYSTEM, "link latencies that a ring waits", 56, waits["ring"], 1e-3, paper),
        Claim(SYSTEM, "link latencies that a star waits", 8, waits["star"], 1e-3, paper),
        Claim(SYSTEM, "layer over its work, blocks far ahead", 1.0, four / work_s, 1e-9, paper),
        Claim(SYSTEM, "layer with one block ahead, ms", 61, two * 1e3, 1e-9, "derived: 30 + 31"),
        *(
            Claim(SYSTEM, f"GB of each of {n} devices, 70B", gb, held[n], 0.1, paper)
            for n, gb in MEASURED.items()
        ),
        Claim(
            *(SYSTEM, "GB of the master with the scheduler, 70B", 3.1, streams, 0.2),
            "abstract; ours divides embedding and head, which the master has whole",
        ),
    )


def network(devices: int) -> Any:
    """Devices that are each four links from every other one."""
    link = {"bandwidth": "37.5 MB/s", "latency": f"{HOPS * HOP_S * 1e3} ms"}
    return topology(
        {"name": "edge", "generate": "mesh", "with": {"devices": devices, "link": link}}
    )


def waited_s(algorithm: str) -> float:
    """Seconds of an all-reduce of next to nothing."""
    (way,) = ways_on("all_reduce", 8, network(DEVICES), [range(DEVICES)], 1, [algorithm])
    return float(fold(way.tree, way.rates).time_s)


def streamed_s(window: int) -> float:
    """Seconds of a layer, of 16 in a loop."""
    attention, mlp = LOADS_S
    layer = [Block(attention, ATTENTION_S + REDUCE_S), Block(mlp, MLP_S + REDUCE_S)]
    return looped(layer * 16, window).period_s / 16


def llama() -> Model:
    """Llama-2-70B in fp32."""
    return model(
        {
            **{"model_type": "llama", "name": "llama-2-70b", "torch_dtype": "float32"},
            **{"num_hidden_layers": 80, "hidden_size": 8192, "intermediate_size": 28672},
            **{"num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 32000},
        }
    )


def gigabytes(devices: int, **how: Any) -> float:
    """Of a device's weights."""
    found: Estimate = predict(
        llama().decode(1, 256),
        device("xeon-8380") * devices,
        parallel={"tp": devices},
        topology=network(devices),
        **how,
    )
    assert found.serving is not None
    return float(found.serving.memory.weights_bytes) / devices / 1e9
