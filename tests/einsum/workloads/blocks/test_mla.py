"""Latent attention: both forms compute the same, and where one computes less than the other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts, footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.mla import Form, Mla
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.quantity.errors import InputError

SMALL = Mla(hidden=20, heads=3, rank=6, plain=4, turned=2, value=5, query_rank=7)
V3 = Mla(hidden=7168, heads=128, rank=512, plain=128, turned=64, value=128, query_rank=1536)
SHARE = Share(Precision("fp32", "fp32", "fp32", "fp32"), layers=(0,))
Array = NDArray[np.float64]


def named(block: Mla, form: Form, step: Step) -> dict[str, Cascade]:
    stages = replace(block, form=form).stages(step, SHARE)
    return {stage.name: stage.cascade for stage in stages}


def scores(cascade: Cascade, **arrays: Array) -> Array:
    """Attention of one sequence; keys in the tiles that the cascade has."""
    shaped: dict[str, Any] = {}
    for name, array in arrays.items():
        ranks = [cascade.ranks[rank].size for rank in cascade.tensors[name].ranks]
        shaped[name] = array.reshape([int(size) for size in ranks])  # pyright: ignore[reportArgumentType]
    return evaluate(cascade, shaped)["AV"]


@pytest.mark.parametrize(("queries", "decoding"), [(1, True), (128, False)])
def test_both_forms_compute_the_same(queries: int, decoding: bool) -> None:
    keys = 128  # one tile
    draw = np.random.default_rng(7).standard_normal
    step = Step(batch=1, queries=queries, context=keys, decoding=decoding)
    absorbed, expanded = (named(SMALL, form, step) for form in ("absorbed", "expanded"))
    query, turned = draw((3, queries, 4)), draw((3, queries, 2))
    latent, position = draw((keys, 6)), draw((keys, 2))
    up, down = draw((3, 4, 6)), draw((3, 5, 6))  # kv_b's halves, by head

    product = expanded["kv up"]
    both = np.concatenate((up, down), axis=1).reshape(27, 6)
    made = evaluate(product, {"A": latent, "W": both})["C"].reshape(keys, 3, 9)
    joined = np.concatenate((made[..., :4], np.repeat(position[:, None], 3, 1)), -1)
    whole = scores(
        expanded["attention"],
        Q=np.concatenate((query, turned), -1),
        K=joined.transpose(1, 0, 2),
        V=made[..., 4:].transpose(1, 0, 2),
    )

    into = evaluate(absorbed["q absorb"], {"A": query, "W": up.transpose(0, 2, 1)})["C"]
    read = scores(
        absorbed["attention on latents"],
        Q=np.concatenate((into, turned), -1),
        K=np.concatenate((latent, position), -1),
    )
    back = evaluate(absorbed["value up"], {"A": read.reshape(3, queries, 6), "W": down})["C"]
    np.testing.assert_allclose(back, whole.reshape(3, queries, 5), rtol=1e-9)


def test_decode_reads_latents_once_and_prefill_makes_keys_of_them() -> None:
    decode, prefill = Step(4, 1, 1000, True), Step(4, 1000, 1000, False)
    read = named(V3, "phase", decode)["attention on latents"]
    assert footprint_bytes("K", read) == 4 * 1000 * 576 * 4
    assert read.sizes()["g"] == 128
    made = named(V3, "phase", prefill)
    assert made["kv up"].sizes() == {"m": 4000, "n": 128 * 256, "k": 512}
    assert made["attention"].sizes()["f"] == 128
    assert "q absorb" not in made


def test_the_crossover_is_where_both_forms_multiply_as_often() -> None:
    keys = 4096
    queries = float(V3.crossover(keys))
    assert queries == pytest.approx(163.8, abs=0.1)
    assert float(V3.crossover(10**9)) == pytest.approx(512 * 256 / 768, abs=0.01)

    def multiplied(form: Form, count: int) -> float:
        step = Step(batch=1, queries=count, context=keys, decoding=True)
        products = ("kv up", "attention", "q absorb", "attention on latents", "value up")
        cascades = named(V3, form, step)
        found = (cascade_counts(cascades[n]) for n in products if n in cascades)
        return float(sum(counts["multiply", "fp32"] for counts in found))

    # softmax's own multiplications (corrections of a tile) are few beside those of the products
    assert multiplied("absorbed", 150) < multiplied("expanded", 150)
    assert multiplied("absorbed", 180) > multiplied("expanded", 180)


def test_every_device_keeps_the_whole_latent() -> None:
    cache = V3.cache()
    assert cache is not None
    assert [cache.per_token(tp) for tp in (1, 8)] == [576, 576]
    down, up = V3.weights()[:2], next(w for w in V3.weights() if w.path.endswith("q_b_proj"))
    assert all(weight.sizes(8) == weight.shape for weight in down)
    assert up.sizes(8) == (128 // 8 * 192, 1536)


def test_values_longer_than_keys_are_no_part_of_them() -> None:
    with pytest.raises(InputError, match=r"value_dim: expected at most head_dim \(4\)"):
        attention(1, 1, 1, 8, head_dim=4, value_dim=5, shared=True)
