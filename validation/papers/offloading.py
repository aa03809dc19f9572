"""Models that stream from a host: ZO2 and DistZO2, MoE-Lens, by `predict`.

ZO2 (arXiv 2503.12668; README): a zeroth-order step runs each block twice while the one before is
written back and the next comes, so that three blocks stand in memory beside the ends of the
network; its memory is that of steps of training without a backward pass and a context, its speed
that of two passes of a prompt; DistZO2 (abstract: 3 times ZO2's speed on OPT-175B) lets two devices
run a pass each, and devices bring slices of a block. Device, link and sizes of that figure were not
read: an A100, 24 GB/s and four devices are priors. MoE-Lens (arXiv 2504.09345): tokens in flight
from which the device's peak, and no more the link at 32 GB/s, bounds Mixtral-8x7B; seconds to
stream its weights at 19.5 GB/s; tokens a second of its scheduler where caches lie in a host that
attends, by its equations (weights a step, and how long tokens hold the room) on a device that is
quick enough.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

OPT = {
    **{"1.3B": (24, 2048, 32), "2.7B": (32, 2560, 32), "6.7B": (32, 4096, 32)},
    **{"13B": (40, 5120, 40), "30B": (48, 7168, 56), "66B": (64, 9216, 72)},
    "175B": (96, 12288, 96),
}
"""Layers, width, heads."""
GIGABYTES = {
    **{"1.3B": 3.75, "2.7B": 4.14, "6.7B": 4.99, "13B": 6.18, "30B": 8.86, "66B": 12.07},
    "175B": 18.04,
}
SEQUENCE = 2048
LINK = "24 GB/s"
ZO2 = {"rate": LINK, "window": 3, "passes": 2, "back": True}
SATURATED = (("a40", 19_200), ("l40", 23_200), ("a100", 40_000))
PROMPT = 64


def opt(name: str) -> Model:
    """OPT of one size."""
    layers, width, heads = OPT[name]
    return model(
        {
            **{"model_type": "opt", "name": f"opt-{name}", "torch_dtype": "float16"},
            **{"num_hidden_layers": layers, "hidden_size": width, "ffn_dim": 4 * width},
            **{"num_attention_heads": heads, "vocab_size": 50272, "word_embed_proj_dim": width},
            **{"max_position_embeddings": 2048, "do_layer_norm_before": True},
        }
    )


def _step(given: Given, name: str, batch: int, **changes: Any) -> Estimate:
    prompt = opt(name).prefill(batch, given("tokens of a sequence", SEQUENCE, 512))
    return predict(prompt, given.device("a100"), offload={**ZO2, **changes})


def _held(given: Given, name: str) -> float:
    """Gigabytes on the GPU: places for three blocks beside the ends, in steps without gradients.

    And the process's context.
    """
    host = {"holds": "weights", "rate": LINK, "window": given("places", 3)}
    passes: dict[str, Any] = {"forwards": 2, "backwards": 0, "dtype": "fp16", "host": host}
    tokens = given("tokens of a sequence", SEQUENCE, 512)
    work: Any = training(opt(name), tokens, 1, **passes)
    found: Any = predict(work, given.device("a100"))
    return float(found.memory_bytes + found.context_bytes) / 1e9


def zeroth_order_memory(given: Given) -> tuple[Claim, ...]:
    """Gigabytes on the GPU."""
    return tuple(
        Claim(
            *("ZO2", f"GB on the GPU, OPT-{name}", published, _held(given, name), 0.1),
            "README of ZO2",
            within="what torch's allocator caches, and how much a context takes on an A100",
        )
        for name, published in GIGABYTES.items()
    )


def zeroth_order_speed(given: Given) -> tuple[Claim, ...]:
    """Two passes on two devices, and slices on four."""
    whole, half = (
        _step(given, "175B", 1),
        _step(given, "175B", 1, passes=1, slices=given("devices of a pair", 2)),
    )
    two, spread = (
        _step(given, "175B", 2),
        _step(given, "175B", 1, passes=1, slices=given("devices", 4)),
    )
    return (
        Claim(
            *("DistZO2", "speed with a pass on each of two devices, which bring slices", 2.0),
            *(float(whole.time_s / half.time_s), 0.1, "ideal of two perturbations"),
            within="the first block's way in, which nothing hides",
            identity=True,
        ),
        Claim(
            *("DistZO2", "speed over ZO2, OPT-175B, four devices", 3.0),
            *(float(two.time_s / spread.time_s), 0.15, "abstract"),
            within="devices, link and batch are priors",
        ),
    )


def experts(given: Given) -> tuple[Claim, ...]:
    """Seconds to stream a mixture's weights, and the tokens that saturate a device."""
    mixtral = model("mixtral-8x7b").but(num_experts_per_tok=given("experts of a token", 2))
    away = {"rate": given("rate of the link", "19.5 GB/s", "39 GB/s")}
    token = predict(mixtral.prefill(64, PROMPT), given.device("a40"), offload=away)
    found = [
        Claim(
            *("MoE-Lens", "seconds to stream all weights at 19.5 GB/s", 4.82),
            *(float(token.time_s), 0.02, "paper: 94 GB"),
            within="both ends, which stay in ours",
        )
    ]
    for machine, published in SATURATED:
        quantity = f"tokens from which the peak bounds, {machine}"
        ours = _saturated(mixtral, given.device(machine))
        found.append(
            Claim(
                *("MoE-Lens", quantity, published, ours, 0.2, "paper, from peaks and links alone"),
                within="its peaks are in units of 1,024, and of matrices alone",
            )
        )
    return tuple(found)


def attending_host(given: Given) -> tuple[Claim, ...]:
    """Tokens a second while caches are full, of a stream whose weights come over a link."""
    tokens_in, tokens_out, count = given("tokens in", 98), given("tokens out", 32), 18_000
    work: Any = model("mixtral-8x7b").serving(
        **{"input": tokens_in, "output": tokens_out, "concurrency": count, "requests": count},
        **{"max_batch": 8192, "max_batch_tokens": 18_000},
        attention={"rate": "150 GB/s", "memory": given("memory", "70 GB", "140 GB"), "link": LINK},
    )
    rate = given("rate of the link", "19.5 GB/s", "39 GB/s")
    served: Any = predict(work, given.device("h100"), offload={"rate": rate})
    ended_s = sorted(stay.last_s for stay in served.ran.stays)
    first, last = ended_s[count // 3], ended_s[2 * count // 3]
    ours = (2 * count // 3 - count // 3) * (tokens_in + tokens_out) / (last - first)
    return (
        Claim(
            *("MoE-Lens", "tokens a second, 98 in and 32 out, 70 GB of caches", 3948.0, ours, 0.12),
            "paper's equations, weights of 94 GB at 19.5 GB/s",
            within="blocks of 16 tokens, and sequences that give way where caches are full",
        ),
    )


def _saturated(mixtral: Model, machine: Hardware) -> int:
    """The least tokens of prompts of 64 whose bound is no more the link's."""

    def bound_s(prompts: int) -> float:
        step = mixtral.prefill(prompts, PROMPT)
        return float(predict(step, machine, offload={"rate": "32 GB/s"}).bound_s)

    link_s, low, high = bound_s(64), 64, 1024
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bound_s(middle) <= link_s * (1 + 1e-9) else (low, middle)
    return high * PROMPT


PROGRAMS = (zeroth_order_memory, zeroth_order_speed, experts, attending_host)
