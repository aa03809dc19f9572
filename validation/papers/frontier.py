"""Frontier's training of GPT models on MI250X (arXiv 2312.12705), by `predict` of their steps.

Of the abstract: shares of the peak of 22B, 175B and 1T (38.38, 36.14, 31.96 %), weak scaling of
100 % and strong scaling of 89 and 87 %, 120 million exaFLOP for 1T parameters on 20T tokens. A GPU
is one of the two dies of an MI250X, eight to a node. How models were divided was not read: layers
and degrees here are priors, and so is the device, of which nothing was measured for us. Shares
are of the model's operations.
"""

from typing import Any

from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "Frontier (arXiv 2312.12705)"
SEQUENCE, VOCABULARY = 2048, 51_200
MODELS = {
    "22B": ((48, 6144, 48), {"tp": 2, "pp": 4}, 64, 512),
    "175B": ((96, 12288, 96), {"tp": 4, "pp": 16}, 1024, 640),
    "1T": ((128, 25600, 128), {"tp": 8, "pp": 64}, 3072, 1600),
}
"""Layers, width, heads; degrees; devices; sequences of a step."""
SHARES = {"22B": 0.3838, "175B": 0.3614, "1T": 0.3196}
EXAFLOP = 1e18
NODE = {
    **{"name": "frontier", "generate": "cluster"},
    "with": {
        **{"nodes": 2, "devices_per_node": 8, "link": {"bandwidth": "100 GB/s"}},
        "nic": {"bandwidth": "12.5 GB/s", "latency": "5 us"},
    },
}
"""Four cards of 200 Gb/s to eight dies."""


def die(given: Given) -> Any:
    """Half of an MI250X."""
    whole = given.device("mi250x")
    halves = {"capacity_bytes": 64e9, "bandwidth_bytes_per_s": 1.6e12}
    units = {
        name: {"rate_per_s": {kind: rate / 2 for kind, rate in unit.rate_per_s.items()}}
        for name, unit in whole.units.items()
    }
    return whole.but(
        processors={"count": int(whole.processors.count) // 2},
        memories={"dram": halves},
        units=units,
    )


def step(given: Given, name: str, **changes: Any) -> Any:
    """A step of a model; `devices`, `batch` and degrees may be others."""
    (layers, width, heads), degrees, devices, batch = MODELS[name]
    sequence = given("sequence", SEQUENCE)
    config = {
        **{"model_type": "gpt2", "n_layer": layers, "n_embd": width, "n_head": heads},
        **{"n_positions": sequence, "vocab_size": VOCABULARY, "torch_dtype": "float16"},
    }
    devices, batch = changes.pop("devices", devices), changes.pop("batch", batch)
    how: dict[str, Any] = {**degrees, **changes}
    replicas = devices // (how["tp"] * how["pp"])
    work: Any = training(
        config,
        sequence,
        batch - batch % replicas,
        devices=devices,
        zero=1,
        recompute="full",
        **how,
    )
    return predict(work, given.once(die), topology=NODE)


def shares(given: Given) -> tuple[Claim, ...]:
    """Shares of the peak and their ratio, scaling, and operations of a training run."""
    steps = {name: step(given, name) for name in MODELS}
    mfu = {name: step.mfu for name, step in steps.items()}
    tokens = 1600 // 6 * 6 * SEQUENCE
    abstract = "abstract"
    prior = "degrees, batches and the device's rates are priors"
    found = [
        Claim(
            *(SYSTEM, f"{name}: share of the peak", share, mfu[name], 0.15, abstract), within=prior
        )
        for name, share in SHARES.items()
    ]
    found.append(
        Claim(
            *(SYSTEM, "share of 1T over 22B's", SHARES["1T"] / SHARES["22B"]),
            *(mfu["1T"] / mfu["22B"], 0.1, abstract),
            within=prior,
        )
    )
    for name, strong in (("175B", 0.89), ("1T", 0.87)):
        _, _, devices, batch = MODELS[name]
        base = steps[name]
        fewer = step(given, name, devices=devices // 2, batch=batch // 2)
        many = step(given, name, devices=devices // 2)
        weak = fewer.step_time_s / base.step_time_s
        kept = many.step_time_s / 2 / base.step_time_s
        halves = "abstract; over how many devices was not read: twice as many here"
        found += [
            Claim(SYSTEM, f"{name}: weak scaling", 1.0, weak, 0.02, halves),
            Claim(*(SYSTEM, f"{name}: strong scaling", strong, kept, 0.06, halves), within=prior),
        ]
    found.append(
        Claim(
            *(SYSTEM, "millions of exaFLOP for 20T tokens", 120.0),
            *(steps["1T"].model_flops / tokens * 20e12 / EXAFLOP / 1e6, 0.03),
            "abstract: 6 N T",
            within="attention and the head, which ours counts",
        )
    )
    return tuple(found)


PROGRAMS = (shares,)
