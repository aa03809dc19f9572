"""Collectives in an estimate: beside a kernel or after it, over one box or two."""

import pytest

import hwmodel as hw
from hwmodel.spine.estimate import Estimate

H200 = hw.device("h200")
LLAMA = hw.model("llama-3.1-8b")


def part_s(estimate: Estimate, family: str, name: str = "") -> float:
    parts = [p for p in estimate.parts if p.family == family and p.name.startswith(name)]
    return sum(float(p.times * p.time_s) for p in parts)


def test_a_ring_hides_its_blocks_behind_attention_where_it_can() -> None:
    """Long blocks are attended to for longer than the next is on its way; short ones are not."""
    ring = {"tp": 1, "cp": 4, "attends": "ring"}
    long = hw.predict(LLAMA.prefill(1, 131072), on=H200 * 4, parallel=ring)
    short = hw.predict(LLAMA.prefill(1, 1024), on=H200 * 4, parallel=ring)
    assert part_s(long, "collective", "p2p") < 1e-6
    assert part_s(short, "collective", "p2p") > 1e-4
    gathered = hw.predict(
        LLAMA.prefill(1, 131072), on=H200 * 4, parallel={**ring, "attends": "all-gather"}
    )
    assert part_s(gathered, "collective") > 1e-3
    assert long.time_s < gathered.time_s


def test_two_boxes_exchange_over_cards_and_one_does_not() -> None:
    step = LLAMA.decode(16, 4096)
    one = hw.predict(step, on=H200 * 8)
    two = hw.predict(step, on=H200 * 16, parallel={"tp": 8, "dp": 2})
    wide = hw.predict(hw.model("llama-3.1-70b").decode(16, 4096), on=H200 * 16)
    for found in (one, two):  # replicas exchange nothing
        assert not any(text.startswith("assumed") for text in found.warnings)
    assert any(text.startswith("assumed: 16 devices stand in boxes") for text in wide.warnings)


@pytest.mark.parametrize("topology", ["dgx-h100:nodes=2", "h100-ndr:nodes=2"])
@pytest.mark.parametrize(
    "parallel", [{"tp": 16}, {"tp": 8, "pp": 2}, {"tp": 4, "dp": 4}, {"tp": 8, "cp": 2}]
)
def test_two_nodes_answer_for_every_degree(topology: str, parallel: dict[str, int]) -> None:
    model = hw.model("llama-3.1-70b" if parallel != {"tp": 16} else "llama-3.1-405b")
    for step in (model.decode(16, 4096), model.prefill(16, 2048)):
        found = hw.predict(step, on=H200 * 16, parallel=parallel, topology=topology)
        assert found.devices == 16
        assert found.bound_s < found.time_s


def test_experts_on_two_nodes_send_tokens_both_ways() -> None:
    model, step = hw.model("deepseek-v3"), {"tp": 1, "dp": 16, "ep": 16}
    found = hw.predict(
        model.decode(256, 4096), on=H200 * 16, parallel=step, topology="h100-ndr:nodes=2"
    )
    sent = [p for p in found.parts if p.name.startswith("all_to_all")]
    assert [p.times for p in sent] == [58, 58]
    assert not any(p.name.startswith("all_reduce") for p in found.parts)
