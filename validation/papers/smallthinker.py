"""SmallThinker (arXiv 2507.20984): sizes of the released models, tokens a second on small boards.

Sizes are those of Q4_0, 18 bytes for 32 weights. Tokens a second are from model cards, beside
predictions for boards of which none was measured for us. Of their seven boards three are in the
catalogue. Qwen3's models beside it have the same bits, the head included.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.systems.prefetch import Q4_0_BYTES, SparseDecoder, decode
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "SmallThinker"
CARD = "model card"
ROUNDED = "told to two or three digits"
PRIOR = "boards that nobody measured for us: shares of their peaks are priors"
SHAPES = {"4B": (32, 1536, 12, 2, 32, 4), "21B": (52, 2560, 28, 4, 64, 6)}
"""Layers, width, heads, key heads, experts, of which a token takes."""
SIZES = (("4B", 4.03e9, 1.99e6, 255e6), ("21B", 21.1e9, 3.32e6, 1.035e9))
"""Model, weights, bytes of an expert, bytes of a token's experts."""
LIKELY = "popular experts stay in memory, where ours are needed alike"
SPARSE = "neurons that are off are not read, nor rows of the head; ours reads all of both"
RATES: tuple[tuple[str, str, float | None, float, str], ...] = (
    ("4B", "i9-14900", None, 108.17, ""),
    ("4B", "i9-14900", 1e9, 29.99, ""),
    ("4B", "raspberry-pi-5", None, 28.77, SPARSE),
    ("4B", "raspberry-pi-5", 1e9, 0.75, LIKELY),
    ("4B", "rk3588", None, 39.76, ""),
    ("4B", "rk3588", 1e9, 15.04, LIKELY),
    ("21B", "i9-14900", 8e9, 20.0, LIKELY),
)
"""Model, board, bytes of memory for weights (None: all), tokens/s; likely cause of a miss."""
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
FAST = "shares of the board's bandwidth are priors, and ours is low"
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


def rates(given: Given) -> tuple[Claim, ...]:
    """Tokens a second of both models, with all in memory and with less."""
    context = given("context", 256, 8192)
    found: list[Claim] = []
    for name, board, room, published, cause in RATES:
        read = SparseDecoder.of(released(name))
        answer = decode(read, given.device(board), memory_bytes=room, context=context)
        held = "all in memory" if room is None else f"{room / 1e9:.0f} GB of memory"
        found.append(
            Claim(
                *(SYSTEM, f"{name} tokens/s, {board}, {held}", published),
                *(1 / float(answer.time_s), 0.2, "abstract" if name == "21B" else CARD),
                published_as="least" if name == "21B" else "",
                within=PRIOR,
                cause=cause,
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
                    *(0.2, CARD),
                    within=PRIOR,
                    cause=FAST if board == "i9-14900" else "",
                )
            )
    return tuple(found)


PROGRAMS = (sizes, rates, dense)
