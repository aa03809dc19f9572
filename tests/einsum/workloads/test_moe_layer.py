"""The whole mixture-of-experts layer."""

from hwmodel.einsum.counts import flops
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.moe_layer import moe_layer
from hwmodel.quantity.units import Amount


def test_it_is_what_a_layer_of_a_model_runs() -> None:
    stack = model("qwen3-30b-a3b").decode(4, 100)
    names = [stage.name for stage in stack.stages]
    first, last = names.index("router"), names.index("index_add")
    layer = moe_layer(4, experts=128, top_k=8, hidden=2048, intermediate=768)
    assert [s.cascade for s in layer.stages] == [s.cascade for s in stack.stages[first : last + 1]]


def test_shared_experts_are_one_more_gated_mlp_on_every_token() -> None:
    plain = moe_layer(10, experts=8, top_k=2, hidden=16, intermediate=32)
    shared = plain.but(shared_intermediate=64)
    more = [s for s in shared.stages if s.name.startswith("shared")]
    assert len(shared.stages) == len(plain.stages) + len(more) == len(plain.stages) + 5
    products = [flops(s.cascade) for s in more if s.name in ("shared gate-up", "shared down")]
    assert sum(products) == 6 * 10 * 16 * 64


def test_rows_of_others_come_only_where_none_are_sent() -> None:
    """Attention apart on each device sends rows to experts; alike on all, each takes its own."""
    deepseek = model("deepseek-v3")
    passing: list[tuple[Amount, ...]] = []
    for ways in ({"dp": 8, "ep": 8}, {"tp": 8, "ep": 8}):
        step = deepseek.decode(64, 100, parallel=ways)
        products = [s.cascade for s in step.stages if s.name in ("experts gate-up", "experts down")]
        spreads = [r.distribution for each in products for r in each.ranks.values()]
        passing.append(tuple(spread.ways for spread in spreads if spread is not None))
    assert passing == [(1, 1), (8, 8)]
