"""Shares of a model by the rules of engines: published paddings, and what is not legal."""

import json

import pytest

from hwmodel.einsum.workloads.config import SHIPPED, shipped_configs
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import ENGINES, Engine, Sizes, padded_vocabulary, refusals, share

LLAMA_405B = Sizes(heads=128, kv_heads=8, layers=126, vocabulary=128256, intermediate=53248)
MIXTURE = Sizes(32, 4, 48, 151936, 0, experts=128, expert_intermediate=768)


@pytest.mark.parametrize(
    ("engine", "tp", "rows"),
    [("exact", 1, 50257), ("vllm", 1, 50304), ("megatron", 1, 50304), ("megatron", 8, 51200)],
)
def test_gpt_2_s_vocabulary_is_padded_as_engines_do(engine: Engine, tp: int, rows: int) -> None:
    assert padded_vocabulary(50257, tp, engine) == rows


def test_the_largest_llama_on_sixteen_ways() -> None:
    """Two devices hold the same key head; stages in the middle take the two layers left over."""
    found = share(Execution(tp=16, pp=4), LLAMA_405B, engine="vllm")
    assert (found.heads, found.kv_heads, found.kv_repeats) == (8, 1, 2)
    assert (found.vocabulary, found.padding, found.intermediate) == (8016, 0, 3328)
    assert found.layers == (31, 32, 32, 31)


def test_layers_left_over_leave_the_last_stage_alone() -> None:
    sizes = Sizes(heads=8, kv_heads=8, layers=32, vocabulary=64, intermediate=64)
    assert share(Execution(pp=3), sizes).layers == (11, 11, 10)
    assert share(Execution(pp=4, vp=2), sizes).layers == (4,) * 8


def test_experts_are_divided_whole_and_in_themselves() -> None:
    found = share(Execution(tp=4, dp=8, ep=8), MIXTURE)
    assert (found.experts, found.expert_intermediate, found.heads) == (16, 192, 8)
    found = share(Execution(tp=4, dp=8, ep=32, etp=1), MIXTURE)
    assert (found.experts, found.expert_intermediate) == (4, 768)


@pytest.mark.parametrize(
    ("execution", "sizes", "engine", "reason"),
    [
        (Execution(tp=3), LLAMA_405B, "exact", "tp: expected a divisor of the 128 query heads"),
        (Execution(tp=16), LLAMA_405B, "megatron", "a divisor of the 8 key heads, found 16"),
        (Execution(tp=6), Sizes(6, 4, 1, 6, 6), "vllm", "a multiple of the 4 key heads when"),
        (Execution(pp=4), LLAMA_405B, "megatron", "pp: expected a divisor of the 126 layers"),
        (Execution(pp=9, vp=2), LLAMA_405B, "megatron", ""),
        (Execution(pp=72, vp=2), LLAMA_405B, "exact", "pp x vp: expected 128 or fewer, .* 144"),
        (Execution(dp=2, ep=2), LLAMA_405B, "exact", "ep: expected a model with experts"),
        (Execution(dp=3, ep=3), MIXTURE, "exact", "ep: expected a divisor of the 128 experts"),
        (Execution(tp=6), Sizes(6, 6, 1, 50257, 6), "vllm", ""),
        (Execution(tp=5), Sizes(5, 5, 1, 50257, 5), "vllm", "the 50304 padded vocabulary, found 5"),
    ],
)
def test_what_is_not_legal_says_why(
    execution: Execution, sizes: Sizes, engine: Engine, reason: str
) -> None:
    if not reason:
        assert refusals(execution, sizes, engine=engine) == ()
        return
    with pytest.raises(InputError, match=reason):
        share(execution, sizes, engine=engine)


def test_every_reason_is_said() -> None:
    said = refusals(Execution(tp=3, dp=2, ep=2), LLAMA_405B)
    names = ("128 query heads", "8 key heads", "53248 intermediate size", "model with experts")
    assert [name in reason for name, reason in zip(names, said, strict=True)] == [True] * 4


def test_sequences_are_cut_into_two_pieces_a_device() -> None:
    run = Execution(tp=4, cp=2, sp=True)
    assert refusals(run, LLAMA_405B, sequence=8192) == ()
    assert refusals(run, LLAMA_405B, sequence=8194) == (
        "cp: expected a divisor of the 8194 tokens of a sequence, found 2 cp (4)",
    )
    assert refusals(run, LLAMA_405B, sequence=12) == (
        "sp: expected a divisor of the 6 tokens of a device's sequence, found tp (4)",
    )


def test_an_unknown_engine_is_told_the_engines() -> None:
    with pytest.raises(UnknownNameError, match="exact, megatron, vllm"):
        refusals(Execution(), MIXTURE, engine="vlm")  # pyright: ignore[reportArgumentType]


PLAIN = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gpt_oss", "gemma3_text")
"""Architectures whose layers have one kind of heads, and gated MLPs or experts alone."""


def kind(name: str) -> str:
    """What a shipped config says that it is; to read each whole takes a second."""
    read = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))
    return str(read.get("text_config", read).get("model_type"))


@pytest.mark.parametrize("name", [name for name in shipped_configs() if kind(name) in PLAIN])
@pytest.mark.parametrize("tp", [1, 2, 3, 4, 6, 8, 16, 32, 64])
def test_exact_shares_are_those_that_steps_are_predicted_with(name: str, tp: int) -> None:
    read = model(name)
    whole = Sizes.of(read.network)
    try:
        step = read.decode(1, 8, tp=tp).stages
    except InputError:
        assert refusals(Execution(tp=tp), whole)
        return
    found = share(Execution(tp=tp), whole)
    sizes = {stage.role: stage.cascade.sizes() for stage in step}
    scores = sizes["attention.scores"]
    assert (found.heads, found.kv_heads) == (scores["h"] * scores["g"], scores["h"])
    assert found.vocabulary == sizes["head"]["n"]
    products = [sizes.get(role) for role in ("mlp.gate-up", "mixture.experts gate-up")]
    inner = [product["n"] // 2 if product else 0 for product in products]
    assert [found.intermediate, found.expert_intermediate] == inner
    assert found.layers == (read.network.depth,)


@pytest.mark.parametrize(
    ("name", "experts"), [("qwen3-30b-a3b", 128), ("mixtral-8x7b", 8), ("llama-3.1-8b", 0)]
)
def test_experts_of_a_model_are_those_of_its_card(name: str, experts: int) -> None:
    assert Sizes.of(model(name).network).experts == experts


@pytest.mark.parametrize("engine", ENGINES)
def test_a_latent_in_place_of_key_heads_is_whole_on_every_device(engine: Engine) -> None:
    sizes, run = Sizes.of(model("deepseek-v3").network), Execution(tp=16)
    assert refusals(run, sizes, engine=engine) == ()
    found = share(run, sizes, engine=engine)
    assert (found.heads, found.kv_heads, found.kv_repeats) == (8, 0, 16)
    assert "tp: expected a divisor of the 128 query heads" in refusals(Execution(tp=3), sizes)[0]
