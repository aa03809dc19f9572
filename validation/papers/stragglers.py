"""Sequential gradient coding (ICLR 2023), by `predict` with `stragglers`.

The abstract: 16 % less time than gradient coding on 256 workers of AWS Lambda. Loads are those of
its parameters, derived by hand; so is what of a round its work is (a hundredth, from how the times
of three codings differ). Chances of stragglers, model and network are priors: workers with links of
70 MB/s, which carry the gradients of a small decoder.
"""

from typing import Any

from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "Sequential Gradient Coding"
WORKERS, TOKENS = 256, 2048
SMALL: dict[str, Any] = {
    **{"model_type": "gpt2", "n_layer": 4, "n_embd": 256, "n_head": 4, "n_positions": 4096},
    "vocab_size": 10_000,
}
SLOW: dict[str, Any] = {"slows": 0.01, "recovers": 1.0, "times": 2.0, "slower": "all"}
CODINGS: dict[str, dict[str, Any]] = {
    "gradient": {"tolerated": 15},
    "selective-repeat": {"burst": 2, "window": 3, "tolerated": 23},
    "multiplexed": {"burst": 1, "window": 2, "tolerated": 27},
}
LOADS = {"gradient": 0.0625, "selective-repeat": 0.05078125, "multiplexed": 7 / 928}


def step(given: Given, coding: str) -> Any:
    """A round of the workers, on average."""
    workers = given("workers", WORKERS)
    network = {
        **{"name": "functions", "generate": "cluster"},
        "with": {
            **{"nodes": workers, "devices_per_node": 1, "link": {"bandwidth": "1 GB/s"}},
            "nic": {"bandwidth": given("links", "70 MB/s", "7 GB/s")},
        },
    }
    slow = {**SLOW, "times": given("times", SLOW["times"]), "coding": coding, **CODINGS[coding]}
    work: Any = training(SMALL, TOKENS, workers, dp=workers, zero=0, stragglers=slow)
    return predict(work, given.device("l4"), topology=network)


def codings(given: Given) -> tuple[Claim, ...]:
    """Loads of three codings, and the time that the last one saves."""
    steps = {name: step(given, name) for name in CODINGS}
    took = [float(steps[name].step_time_s) for name in ("gradient", "multiplexed")]
    return (
        *(
            Claim(
                *(SYSTEM, f"load of a worker, {name}", load, float(steps[name].load), EXACT),
                "derived: parameters of its evaluation",
                identity=True,
            )
            for name, load in LOADS.items()
        ),
        Claim(
            *(SYSTEM, "time saved over gradient coding", 0.16, 1 - took[1] / took[0], 0.1),
            "abstract",
            within="chances of stragglers, and what of a round is work, are priors",
            cause="gradient coding loads workers eight times as much: the more of a round is work,"
            " the more is saved",
        ),
    )


PROGRAMS = (codings,)
