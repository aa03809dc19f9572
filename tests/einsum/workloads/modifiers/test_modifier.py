"""Modifiers: FLOP and bytes by hand, what stays, phases, devices, policies beside them, doors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.sparse import Seeing, Sight, Sparse
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.modifiers.modifier import attending, chosen
from hwmodel.einsum.workloads.modifiers.named import MODIFIERS, modifier
from hwmodel.einsum.workloads.modifiers.pbs_attn import PbsAttn
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.spine.estimate import Estimate
from hwmodel.sweeps.run import run
from hwmodel.verbs.study import study as planned

LLAMA = "llama-3.1-8b"  # 32 layers, 32 heads in 8 groups, 128 elements

ALL = Sight()


@dataclass(frozen=True)
class Seen:
    """A modifier of tests: classes of heads as given."""

    NAME: ClassVar[str] = "seen"
    SOURCE: ClassVar[str] = "this test"

    classes: tuple[Seeing, ...] = ()

    def of(self, network: Network) -> Network:
        def make(layer: int, block: Block, attention: Attention) -> Block:
            return Sparse(block, attention, self.classes, self)

        return attending(self, network, make)

    def before(self, heads: Heads) -> tuple[Cascade, ...]:
        return ()

    def behind(self, heads: Heads) -> tuple[Cascade, ...]:
        return ()


def alike(prefill: Sight = ALL, decode: Sight = ALL) -> Seen:
    return Seen((Seeing("all", 8, prefill, decode),))


def matrix_flop(estimate: Estimate, name: str) -> float:
    return sum(
        float(part.times * count)
        for part in estimate.parts
        if part.name.startswith(name) and "output" not in part.name
        for (unit, _, _), count in part.counts.operations.items()
        if unit == "matrix"
    )


def test_half_of_all_blocks_are_nearly_all_that_a_causal_mask_leaves() -> None:
    # 8 blocks of 128: 36 of 64 are left; of a density of 0.5, 32 are computed.
    full = hw.predict(model(LLAMA).prefill(1, 1024), "h200")
    half = hw.predict(model(LLAMA, modifier=alike(Sight(0.5))).prefill(1, 1024), "h200")
    assert matrix_flop(half, "attention") == pytest.approx(
        matrix_flop(full, "attention") * 32 / 36, rel=1e-9
    )


def test_a_density_beyond_the_mask_is_the_mask() -> None:
    full = hw.predict(model(LLAMA).prefill(1, 1024), "h200")
    same = hw.predict(model(LLAMA, modifier=alike(Sight(0.9))).prefill(1, 1024), "h200")
    assert same.time_s == pytest.approx(full.time_s, rel=1e-9)


def test_a_chunk_behind_a_prefix_sees_the_blocks_of_both() -> None:
    # Two blocks of queries, the last of eight: 7 + 8 of 16 are left, of 0.25 of all 4 computed.
    full = hw.predict(model(LLAMA).prefill(1, 1024, cached=768), "h200")
    some = model(LLAMA, modifier=alike(Sight(0.25))).prefill(1, 1024, cached=768)
    assert matrix_flop(hw.predict(some, "h200"), "attention") == pytest.approx(
        matrix_flop(full, "attention") * 4 / 15, rel=1e-9
    )


def test_decode_of_a_density_reads_whole_blocks_of_keys() -> None:
    # 0.3 of 64 blocks are 19.2: 20 blocks of 128 keys, 4,096 bytes a token and layer.
    full = hw.predict(model(LLAMA).decode(4, 8192), "h200")
    some = hw.predict(model(LLAMA, modifier=alike(decode=Sight(0.3))).decode(4, 8192), "h200")
    saved = full.dram_bytes_read - some.dram_bytes_read
    assert saved == pytest.approx(4 * 32 * (8192 - 2560) * 4096, rel=1e-6)
    assert some.time_s < full.time_s
    assert some.serving is not None
    assert full.serving is not None
    assert some.serving.memory.largest_batch == full.serving.memory.largest_batch


def test_tokens_that_take_part_are_queries_and_keys() -> None:
    full = hw.predict(model(LLAMA).prefill(1, 4096), "h200")
    some = model(LLAMA, modifier=alike(Sight(tokens=Kept(share=0.5)))).prefill(1, 4096)
    halved = hw.predict(model(LLAMA).prefill(1, 2048), "h200")
    assert matrix_flop(hw.predict(some, "h200"), "attention") == matrix_flop(halved, "attention")
    assert full.time_s > hw.predict(some, "h200").time_s


def test_classes_of_heads_are_kernels_of_their_own() -> None:
    seen = Seen((Seeing("dense", 2), Seeing("local", 6, Sight(window=256))))
    names = [s.cascade for s in model(LLAMA, modifier=seen).prefill(1, 4096).stages]
    dense, local = (c for c in names if c.name in ("attention", "attention, local"))
    assert (dense.ranks["h"].size, local.ranks["h"].size) == (2, 6)


def test_of_devices_the_one_with_most_work_is_meant() -> None:
    # Eight devices have a head each; with two dense heads, one of them has a dense one alone.
    seen = Seen((Seeing("dense", 2), Seeing("sparse", 6, Sight(0.1))))
    stages = model(LLAMA, modifier=seen).prefill(1, 8192, tp=8).stages
    (scores,) = (stage for stage in stages if stage.role == "attention.scores")
    assert scores.cascade.name == "attention"
    both = model(LLAMA, modifier=seen).prefill(1, 8192, tp=2).stages
    sizes = {s.cascade.name: s.cascade.ranks["h"].size for s in both if "scores" in s.role}
    assert sizes == {"attention": 2, "attention, sparse": 2}


OTHER_WEIGHTS = ("bottlenecked", "duo-llm", "mixture-of-recursions", "versatile-ffn")
"""Modifiers of whole layers, whose weights are counted in test_networks.py."""


@pytest.mark.parametrize("name", [name for name in MODIFIERS if name not in OTHER_WEIGHTS])
def test_weights_and_modules_stay(name: str) -> None:
    plain, changed = model(LLAMA), model(LLAMA, modifier=name)
    routers = changed.parameters_by_part["router"]
    assert changed.parameters - routers == plain.parameters
    modules = (module for module in changed.network.modules() if ".router." not in module)
    assert set(modules) == set(plain.network.modules())


def test_a_policy_keeps_its_cache_and_its_decode_beside_a_modifier() -> None:
    both = model(LLAMA, cache_policy="keyformer", modifier="pbs-attn")
    policy, sparse = model(LLAMA, cache_policy="keyformer"), model(LLAMA, modifier="pbs-attn")
    assert both.kv_bytes(1, 8192) == policy.kv_bytes(1, 8192)
    assert both.decode(1, 8192).stages == policy.decode(1, 8192).stages
    assert both.prefill(1, 8192).stages == sparse.prefill(1, 8192).stages


def test_of_a_mixed_step_each_group_sees_what_its_phase_does() -> None:
    mixed = model(LLAMA, modifier="pbs-attn").mixed(4, 2048, 8192).stages
    apart = [
        *model(LLAMA).decode(4, 2048).stages,
        *model(LLAMA, modifier="pbs-attn").prefill(1, 8192).stages,
    ]
    roles = ("attention.scores", "attention.selection")
    both = [[s.cascade for s in made if s.role in roles] for made in (mixed, apart)]
    assert both[0] == both[1]


def test_of_hybrids_and_windows_the_layers_that_see_everything_are_changed() -> None:
    stages = model("gemma-3-4b", modifier=alike(Sight(0.1))).prefill(1, 8192).stages
    times = {s.name: s.times for s in stages if s.role == "attention.scores"}
    assert times == {"attention, window 1024": 29, "attention, all": 5}


def test_what_has_no_such_layer_is_refused() -> None:
    with pytest.raises(CoverageError, match="modifier: pbs-attn: expected layers that attend"):
        model("mamba2-2.7b", modifier="pbs-attn")


def test_layers_are_spread_evenly() -> None:
    assert [layer for layer in range(8) if chosen(2, layer, 8)] == [3, 7]
    assert sum(chosen(3, layer, 28) for layer in range(28)) == 3
    assert not any(chosen(0, layer, 8) for layer in range(8))


def test_a_modifier_is_asked_for_as_text_or_value_at_every_door() -> None:
    value = hw.predict(model(LLAMA, modifier=PbsAttn(0.2)).prefill(1, 8192), "h200")
    text = "pbs-attn:density=0.2"
    asked: dict[str, Any] = {"workload": "llm", "config": LLAMA, "phase": "prefill"}
    asked |= {"batch": 1, "prompt": 8192, "on": "h200"}
    line = hw.ask("predict", **asked, modifier=text)
    assert line.time_s == value.time_s
    assert (
        value.time_s == hw.predict(model(LLAMA).but(modifier=text).prefill(1, 8192), "h200").time_s
    )
    assert any("changed by pbs-attn (density=0.2" in told for told in line.warnings)


def test_a_study_may_have_an_axis_of_modifiers(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "case: {workload: llm, config: llama-3.1-8b, phase: prefill, batch: 1, on: h200}\n"
        "axes:\n  prompt: [4096, 16384]\n  modifier: [pbs-attn, 'zipvl:important=0.25']\n"
        "keep: [time_s]\n",
        encoding="utf-8",
    )
    times = run(planned(study)).table["time_s"].to_list()
    alone = [
        float(hw.predict(model(LLAMA, modifier=name).prefill(1, prompt), "h200").time_s)
        for name in ("pbs-attn", "zipvl:important=0.25")
        for prompt in (4096, 16384)
    ]
    assert sorted(times) == pytest.approx(sorted(alone))


def test_bad_modifiers_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown modifier 'pbs'"):
        modifier("pbs")
    with pytest.raises(InputError, match="modifier: pbs-attn: segment: expected a whole number"):
        modifier("pbs-attn:segment=x")
