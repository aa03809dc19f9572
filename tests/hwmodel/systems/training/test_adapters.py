"""Low-rank adapters and sampled gradients: parameters, bytes and seconds by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError

RANK, LAYERS, TOKENS = 16, 32, 4096
SIDES = (4096 + 4096, 2 * (4096 + 1024), 4096 + 4096, 2 * (4096 + 14_336), 14_336 + 4096)
"""Of q, k and v, o, gate and up, down of Llama-3.1-8B: inputs and outputs."""
TRAINED = RANK * LAYERS * sum(SIDES)
READ = 4096 + 4096 + 4096 + 14_336
"""Numbers that a token's products read in a layer: q, k and v one and the same."""


def step(**how: Any) -> Any:
    given: dict[str, Any] = {"devices": 4, "zero": 0, **how}
    return hw.predict(hw.workloads.training("llama-3.1-8b", TOKENS, 4, **given), on="h100")


@pytest.fixture(scope="module")
def plain() -> Any:
    return step()


@pytest.fixture(scope="module")
def adapted() -> Any:
    return step(adapters=RANK)


def test_adapters_alone_have_gradients_and_an_optimiser(plain: Any, adapted: Any) -> None:
    """41,943,040 numbers: 4 bytes of gradient, 12 of copy and Adam, 2 of weight as all others."""
    assert TRAINED == 41_943_040
    assert adapted.gradients_bytes == 4 * TRAINED
    assert adapted.optimizer_bytes == 12 * TRAINED
    assert adapted.weights_bytes == plain.weights_bytes + 2 * TRAINED


def test_frozen_weights_have_no_gradient_so_that_a_third_of_the_products_goes(
    plain: Any, adapted: Any
) -> None:
    assert adapted.model_flops == pytest.approx(plain.model_flops * 2 / 3)
    assert 0.62 < adapted.step_time_s / plain.step_time_s < 0.8
    assert adapted.bound_s <= adapted.step_time_s


def test_inputs_are_kept_for_adapters_and_what_is_between_their_products(
    plain: Any, adapted: Any
) -> None:
    more = adapted.activations_bytes - plain.activations_bytes
    assert more == pytest.approx(4 * RANK * 2 * TOKENS * LAYERS)  # four fused products


def test_gathered_weights_are_all_and_scattered_gradients_those_of_adapters() -> None:
    whole, some = step(zero=3), step(zero=3, adapters=RANK)
    assert some.optimizer_bytes == pytest.approx(8 * TRAINED / 4)
    assert some.memory_bytes < whole.memory_bytes
    assert some.weights_bytes > whole.weights_bytes / 2  # in 16 bits, where others are in fp32


def test_frozen_weights_are_stored_narrower_and_widened_for_products_in_16_bits(
    adapted: Any,
) -> None:
    """Of 8,030,261,248 numbers embedding, head and last norm stay; 4 bits read and 16 written."""
    layers = 8_030_261_248 - 2 * 128_256 * 4096 - 4096
    found = step(adapters=RANK, frozen="nf4")
    assert adapted.weights_bytes - found.weights_bytes == pytest.approx(1.5 * layers)
    assert found.gradients_bytes == adapted.gradients_bytes
    moved_s = 2 * 2.5 * layers / 3.35e12  # once a pass, at the DRAM's rate
    assert moved_s < found.step_time_s - adapted.step_time_s < 2.5 * moved_s
    wide, same = (step(adapters=RANK, dtype="fp8", frozen=kind) for kind in (None, "fp8"))
    assert same.step_time_s == wide.step_time_s
    assert wide.weights_bytes - same.weights_bytes == pytest.approx(layers)
    with pytest.raises(InputError, match="adapters"):
        step(frozen="nf4")


def test_sampled_rows_are_those_that_are_kept_and_summed(plain: Any) -> None:
    found = step(sampled=0.25)
    left = plain.activations_bytes - found.activations_bytes
    assert left == pytest.approx(0.75 * READ * 2 * TOKENS * LAYERS)
    assert found.weights_bytes == plain.weights_bytes
    products = 1 - 0.75 / 3  # of a third of the operations a quarter is left
    assert products < found.step_time_s / plain.step_time_s < 0.95
    both = step(sampled=0.25, adapters=RANK)
    assert both.activations_bytes < found.activations_bytes * 1.01
    assert both.gradients_bytes == 4 * TRAINED


def plainly(function: str, **how: Any) -> Any:
    """A step of two layers of 8 heads of 64, an MLP of two products and 2,048 columns."""
    layer = [{"block": "attention"}, {"block": "plain_mlp"}]
    config: dict[str, Any] = {
        **{"model_type": "layered", "hidden_size": 512, "intermediate_size": 2048},
        **{"num_attention_heads": 8, "num_hidden_layers": 2, "hidden_act": function},
        **{"vocab_size": 1024, "torch_dtype": "bfloat16", "kinds": {"layer": layer}},
    }
    return hw.predict(hw.workloads.training(config, 256, 1, zero=0, **how), on="a100")


def kept_more(one: Any, other: Any) -> float:
    """Bytes that a layer keeps of a token in one step beyond those in another."""
    return float(one.activations_bytes - other.activations_bytes) / 2 / 256


def test_a_relu_reads_what_the_product_behind_it_keeps() -> None:
    """GELU keeps what it read, 2,048 numbers; where rows are sampled, ReLU a bit of each."""
    assert kept_more(plainly("gelu"), plainly("relu")) == pytest.approx(2 * 2048)
    some = kept_more(plainly("relu"), plainly("relu", sampled=0.25))
    read = 512 + 512 + 512 + 2048
    assert some == pytest.approx(0.75 * 2 * read - 2048 / 8)


def test_adapters_beside_attention_alone_leave_the_mlp_s_inputs() -> None:
    """Of an MLP's 512 and 2,048 numbers GELU's own are kept; so are those that a ReLU made."""
    some = "lora:width=16,on=attention"
    for function, left in (("gelu", 512 + 2048), ("relu", 512)):
        every, few = (plainly(function, adapters=each) for each in (16, some))
        between = 2 * 16  # up's and down's own, of rank 16
        assert kept_more(every, few) == pytest.approx(2 * (left + between))
        assert every.gradients_bytes - few.gradients_bytes == 4 * 2 * 2 * 16 * (512 + 2048)


def test_sampled_attention_by_products_keeps_fewer_operands() -> None:
    """Queries, keys and values of 512, dropped probabilities of 8 heads and 256 keys."""
    how: dict[str, Any] = {"attention": "core", "dropout": True}
    some = kept_more(plainly("gelu", **how), plainly("gelu", **how, sampled=0.25))
    read = 512 + 512 + 512 + 2048
    assert some == pytest.approx(0.75 * 2 * (read + 3 * 512 + 8 * 256))


def test_ranks_and_shares_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="adapters"):
        step(adapters=-1)
    with pytest.raises(InputError, match="sampled"):
        step(sampled=0.0)


WIDE, DEPTH, NARROW, ROWS = 768, 12, 48, 128
BOTTLENECK = 2 * WIDE * NARROW + NARROW + WIDE


def small(adapters: Any) -> Any:
    work = hw.workloads.training("bert-base", ROWS, 1, adapters=adapters, zero=0)
    return hw.predict(work, on="a100")


@pytest.mark.parametrize(
    ("said", "trained"),
    [
        ("bottleneck", DEPTH * BOTTLENECK),
        ("fusion:sources=8", DEPTH * 3 * WIDE**2),
        ({"kind": "scaled", "sources": 8}, DEPTH * 8 * WIDE),
        ("scaled:sources=8,each=number", DEPTH * 8),
        ("scaled:sources=8,each=number,shared=true", 8),
    ],
)
def test_adapters_behind_layers_train_what_they_say(said: Any, trained: int) -> None:
    """All else is frozen, the bottlenecks of other tasks too, and lies in memory."""
    found = small(said)
    assert found.gradients_bytes == pytest.approx(4 * trained)
    assert found.optimizer_bytes == pytest.approx(12 * trained)
    sources = 0 if said == "bottleneck" else 8 * DEPTH * BOTTLENECK
    assert found.weights_bytes == pytest.approx(2 * (109_482_240 + sources + trained))


def test_sources_keep_their_maps_and_take_time() -> None:
    """Each its output and what is between its products."""
    few, many = small("scaled:sources=2"), small("scaled:sources=6")
    more = many.activations_bytes - few.activations_bytes
    assert more == DEPTH * ROWS * 4 * (WIDE + NARROW) * 2
    assert few.step_time_s < many.step_time_s


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("prefix", "unknown kind"),
        ("scaled:each=row", "unknown each"),
        ("lora:rank=3", "unknown field"),
        ({"kind": "bottleneck", "width": 0}, "width: expected 1 or more"),
        (-1, "a rank: expected 1 or more"),
    ],
)
def test_adapters_that_are_none_are_refused(said: Any, wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        hw.workloads.training("bert-base", ROWS, 1, adapters=said)
