"""C4's planned paths against those that a hash chooses (arXiv 2406.04594), by steps of training.

Of the abstract: runtime is 15 % better where communication is moderate. Its clusters and models
were not read. Ours: 7B on 128 H100 in boxes of eight with a card of 200 Gb/s each, two boxes to a
leaf and eight spines; a message has the two flows that NCCL opens. A sequence for each device and a
divided optimiser leave an eighth of a step to exchanges that show; by FSDP, two sequences each, it
is a quarter, and 38 % are gained, so that what is published lies between.
"""

from typing import Any

from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.network.topology import FLOWS
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

DEVICES, BOX, LEAF, SPINES = 128, 8, 2, 8
GPT = {
    **{"model_type": "gpt2", "n_layer": 32, "n_embd": 4096, "n_head": 32, "n_positions": 2048},
    **{"vocab_size": 51_200, "torch_dtype": "bfloat16"},
}


def planned_paths(given: Given) -> tuple[Claim, ...]:
    """What planning gains."""
    return (
        Claim(
            *("C4", "runtime gained by planned paths", 0.15, gained(given), 0.1),
            "abstract: moderate communication; cluster and model are priors",
            within="how much of a step is exchanges that show was not read: here an eighth",
            cause="with a quarter of a step in exchanges that show 38 % are gained: 15 lie between",
        ),
    )


def gained(given: Given, flows: int = FLOWS, **way: Any) -> float:
    """Share of a step's seconds that planned paths spare, of `flows` a message."""
    hashed, planned = (step(paths, given, flows, **way) for paths in ("hashed", "even"))
    return float(hashed.step_time_s / planned.step_time_s - 1)


def step(
    paths: str, given: Given, flows: int = FLOWS, *, batch: int = DEVICES, zero: int = 1
) -> Any:
    """A step of training on links whose paths are planned ("even") or "hashed"."""
    sequences = given("sequences", batch, 2 * batch)
    work: Any = training(GPT, 2048, sequences, devices=DEVICES, zero=zero)
    return predict(work, given.device("h100"), topology=network(paths, flows))


PROGRAMS = (planned_paths,)


def network(paths: str, flows: int = FLOWS) -> dict[str, Any]:
    """Boxes below leaves, leaves below spines."""
    return {
        **{"name": "c4", "generate": "cluster", "paths": paths, "flows": flows},
        "with": {
            **{"nodes": DEVICES // BOX, "devices_per_node": BOX, "nodes_per_leaf": LEAF},
            **{"spines": SPINES, "link": {"bandwidth": "350 GB/s"}},
            "nic": {"bandwidth": "25 GB/s", "latency": "5 us", "message": "2 us"},
        },
    }
