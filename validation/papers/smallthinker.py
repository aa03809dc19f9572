"""SmallThinker (arXiv 2507.20984): sizes of the released models, tokens a second on small boards.

Sizes are those of Q4_0, 18 bytes for 32 weights. Tokens a second are of its technical report,
tables 4 to 7, beside predictions for boards of which none was measured for us: three of its seven
are in the catalogue. With memory limited it caches as many matrices as its code recommends
(SJTU-IPADS/PowerInfer, smallthinker/README). How often neurons are off and how popular experts are
is its report's; how many rows of the head its predictor leaves out is not said: none are here.
Qwen3's models beside it have the same bits, the head included.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.experts.popularity import Popularity
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.systems.prefetch import HOT, ON, Q4_0_BYTES, SparseDecoder, decode
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "SmallThinker"
CARD, REPORT = "model card", "technical report, tables 4 to 7"
ROUNDED = "told to two or three digits"
PRIOR = "boards that nobody measured for us: shares of their peaks are priors"
SHAPES = {"4B": (32, 1536, 12, 2, 32, 4), "21B": (52, 2560, 28, 4, 64, 6)}
"""Layers, width, heads, key heads, experts, of which a token takes."""
SIZES = (("4B", 4.03e9, 1.99e6, 255e6), ("21B", 21.1e9, 3.32e6, 1.035e9))
"""Model, weights, bytes of an expert, bytes of a token's experts."""
CACHED = {"4B": 768 // 3, "21B": 6144 // 3}
"""Experts in memory under a limit of 1 and of 8 GB: a third of the matrices that its code keeps."""
DRIVE = "drives are not said: at half of what such ones claim, ours are 10, 23 and 10 tokens/s"
RATES: tuple[tuple[str, str, bool, float, str], ...] = (
    ("4B", "i9-14900", False, 108.17, ""),
    ("4B", "raspberry-pi-5", False, 28.77, ""),
    ("4B", "rk3588", False, 39.76, ""),
    ("4B", "i9-14900", True, 29.99, ""),
    ("4B", "raspberry-pi-5", True, 0.75, ""),
    ("4B", "rk3588", True, 15.04, DRIVE),
    ("21B", "i9-14900", False, 30.19, ""),
    ("21B", "raspberry-pi-5", False, 6.61, ""),
    ("21B", "rk3588", False, 10.84, ""),
    ("21B", "i9-14900", True, 20.30, DRIVE),
    ("21B", "rk3588", True, 8.56, DRIVE),
)
"""Model, board, whether memory is limited, tokens/s; likely cause of a miss."""
QWEN = (
    (
        "Qwen3-0.6B",
        1024,
        3072,
        (("i9-14900", 148.56), ("raspberry-pi-5", 27.44), ("rk3588", 45.93)),
    ),
    ("Qwen3-1.7B", 2048, 6144, (("i9-14900", 62.24), ("raspberry-pi-5", 11.08), ("rk3588", 20.29))),
)
"""Model, width, width of its MLP, tokens/s of each board."""
FOUR_BITS: dict[str, Any] = {
    **{"num_bits": 4, "type": "int", "group_size": 32, "strategy": "group", "symmetric": True},
}


def released(name: str, hidden: int = 768) -> Model:
    """A released model."""
    layers, width, heads, kv_heads, experts, taken = SHAPES[name]
    return model(
        {
            **{"model_type": "smallthinker", "name": f"smallthinker-{name}"},
            **{"num_hidden_layers": layers, "hidden_size": width, "vocab_size": 151936},
            **{"num_attention_heads": heads, "num_key_value_heads": kv_heads},
            **{"moe_num_primary_experts": experts, "moe_ffn_hidden_size": hidden},
            **{"moe_num_active_primary_experts": taken, "tie_word_embeddings": True},
            "torch_dtype": "bfloat16",
        }
    )


def sizes(given: Given) -> tuple[Claim, ...]:
    """Weights and bytes of experts."""
    found: list[Claim] = []
    for name, total, expert, active in SIZES:
        layers, *_, experts, taken = SHAPES[name]
        made = released(name, given("width of an expert", 768))
        size = made.parameters_by_part["experts"] / (layers * experts) * Q4_0_BYTES
        found += [
            Claim(SYSTEM, f"{name}: weights", total, made.parameters, 2e-3, CARD, within=ROUNDED),
            Claim(
                *(SYSTEM, f"{name}: bytes of an expert", expert, size, 2e-3, CARD), within=ROUNDED
            ),
            Claim(
                *(SYSTEM, f"{name}: expert bytes a token", active),
                *(layers * taken * size, 2e-3, CARD),
                within=ROUNDED,
            ),
        ]
    return tuple(found)


def board(given: Given, name: str) -> Hardware:
    """A board; a Raspberry Pi 5 with memory for the larger model."""
    if name == "raspberry-pi-5":
        return given.device(device(name).but(dram={"capacity": "16 GB"}))
    return given.device(name)


def rates(given: Given) -> tuple[Claim, ...]:
    """Tokens a second of both models, with all in memory and with less."""
    context, on = given("context", 256, 8192), given("share of neurons that are on", ON)
    hot = Popularity(((HOT.classes[0][0], given("chance of popular experts", 0.4, 0.2)),))
    found: list[Claim] = []
    for name, which, limited, published, cause in RATES:
        read = SparseDecoder.of(released(name), neurons=on, popular=hot)
        held = CACHED[name] if limited else read.layers * read.experts
        weights = read.dense_parameters + held * read.expert_parameters
        answer = decode(
            read, board(given, which), memory_bytes=weights * Q4_0_BYTES, context=context
        )
        rate = 1 / float(answer.time_s)
        memory = f"{held} experts in memory" if limited else "all in memory"
        found.append(
            Claim(
                *(SYSTEM, f"{name} tokens/s, {which}, {memory}", published),
                *(rate, 0.2, REPORT),
                within=PRIOR,
                cause=cause,
            )
        )
        if limited and which == "i9-14900":
            found.append(
                Claim(
                    *(SYSTEM, f"{name} tokens/s on a consumer's processor", 20, rate, 0.0),
                    "abstract: above 20 with 1 GB and with 8 GB",
                    published_as="least",
                )
            )
    return tuple(found)


def dense(given: Given) -> tuple[Claim, ...]:
    """Tokens a second of Qwen3 on the same boards, weights of the head in four bits too."""
    context = given("context", 256, 8192)
    group = {"targets": ["Linear", "re:.*lm_head"], "weights": FOUR_BITS}
    stored = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    stored |= {"config_groups": {"weights": group}, "ignore": []}
    found: list[Claim] = []
    for name, width, hidden, boards in QWEN:
        made = model(
            {
                **{"model_type": "qwen3", "name": name, "num_hidden_layers": 28, "head_dim": 128},
                **{"hidden_size": width, "intermediate_size": hidden, "vocab_size": 151936},
                **{"num_attention_heads": 16, "num_key_value_heads": 8, "torch_dtype": "bfloat16"},
                "quantization_config": stored,
            }
        )
        for board, published in boards:
            answer = predict(made.decode(1, context), given.device(board))
            found.append(
                Claim(
                    *(SYSTEM, f"{name} tokens/s, {board}", published, 1 / float(answer.time_s)),
                    *(0.2, REPORT),
                    within=PRIOR,
                )
            )
    return tuple(found)


PROGRAMS = (sizes, rates, dense)
