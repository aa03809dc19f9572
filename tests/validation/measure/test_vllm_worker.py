"""What a worker is asked: routers that spread, and the experts that they choose."""

from types import SimpleNamespace
from typing import Any

from hwmodel.validation.measure.vllm_worker import ROUTER_DEVIATION, WorkerParts


class Numbers:
    """A tensor that keeps what was done to it."""

    def __init__(self, values: list[int] | None = None) -> None:
        self.done: list[Any] = []
        self.data, self.values = self, values or []
        self.shape = (len(self.values) // 2, 2)

    def double(self) -> "Numbers":
        return Numbers()

    def normal_(self, mean: float, deviation: float) -> "Numbers":
        self.done.append(("normal", mean, deviation))
        return self

    def copy_(self, other: "Numbers") -> None:
        self.done += other.done

    def zero_(self) -> None:
        self.done.append("zero")

    def unique(self) -> "Numbers":
        return Numbers(sorted(set(self.values)))

    def numel(self) -> int:
        return len(self.values)


class Router:
    """A router that calls back with the experts that it chose."""

    def set_capture_fn(self, call: Any) -> None:
        self.choose = call


def worker(**modules: Any) -> Any:
    """A worker of a model with these modules."""
    named = [(name.replace("_of_", "."), module) for name, module in modules.items()]
    parts: Any = WorkerParts()
    parts.model_runner = SimpleNamespace(model=SimpleNamespace(named_modules=lambda: named))
    return parts


def test_only_routers_get_weights_that_spread_and_lose_their_bias() -> None:
    gate = SimpleNamespace(weight=Numbers(), e_score_correction_bias=Numbers())
    router = SimpleNamespace(weight=Numbers(), bias=Numbers())
    up = SimpleNamespace(weight=Numbers(), bias=Numbers())
    found = worker(a_of_gate=gate, b_of_router=router, c_of_gate_up=up).spread_routers()
    assert found == 2
    for weight in (gate.weight, router.weight):
        assert weight.done == [("normal", 0.0, ROUTER_DEVIATION)]
    assert gate.e_score_correction_bias.done == router.bias.done == ["zero"]
    assert up.weight.done == up.bias.done == []


def test_experts_of_a_call_are_counted_once_each_and_taken_once() -> None:
    layer = SimpleNamespace(router=Router())
    parts = worker(a_of_experts=layer, b_of_norm=SimpleNamespace())
    assert parts.routes_begin() == 1
    layer.router.choose(Numbers([3, 1, 3, 2, 3, 1]))  # three tokens, two experts each
    assert parts.routes_taken() == [(3, 3)]
    assert parts.routes_taken() == []
