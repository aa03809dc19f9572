"""Sequence parallelism and a pipeline's sends, counted by hand."""

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import model

LLAMA = model("llama-3.1-8b")
HIDDEN, LAYERS = 4096, 32


def moved(step: Stack) -> list[tuple[str, int, str, int]]:
    """Stage, how often, what it exchanges, and bytes, of all that exchange something."""
    joints = [(s.name, s.times, s.collective) for s in step.stages if s.collective is not None]
    return [(name, int(times), c.op, int(c.bytes)) for name, times, c in joints]


def test_sums_are_scattered_and_gathered_for_the_next_product() -> None:
    """Two of each a layer, of all tokens' hidden states, in place of two all-reduces."""
    states = 2 * 512 * HIDDEN * 2
    plain = moved(LLAMA.prefill(2, 512, parallel={"tp": 4}))
    parts = moved(LLAMA.prefill(2, 512, parallel={"tp": 4, "sp": True}))
    reduced = [(times, size) for _, times, op, size in plain if op == "all_reduce"]
    scattered = [(times, size) for _, times, op, size in parts if op == "reduce_scatter"]
    assert reduced == scattered == [(1, states), (LAYERS, states), (LAYERS, states)]
    gathered = [(n, times, size) for n, times, op, size in parts if op == "all_gather"]
    assert gathered[:2] == [("sequence gather", LAYERS, states)] * 2
    assert gathered[2] == ("sequence gather", 1, 2 * HIDDEN * 2)  # last tokens, for the head


def test_what_all_devices_would_do_alike_is_divided() -> None:
    whole, part = (
        LLAMA.prefill(2, 512, parallel={"tp": 4, "sp": sp}).stages for sp in (False, True)
    )
    for role in ("norm", "residual"):
        wide, narrow = ([s for s in stages if s.role == role] for stages in (whole, part))
        for one, other in zip(wide, narrow, strict=True):
            last = one.name == "final norm"  # of each sequence's last token alone
            name = one.cascade.einsums[-1].name
            sizes = [footprint_bytes(name, s.cascade) for s in (one, other)]
            assert sizes[0] == sizes[1] * (1 if last else 4)


def test_each_stage_of_a_pipeline_hands_its_tokens_on() -> None:
    """A device of four sends a quarter; the next four gather all of it."""
    step = LLAMA.decode(16, 1024, parallel={"tp": 4, "pp": 4})
    sent = [each for each in moved(step) if each[0].startswith("pipeline")]
    states = 16 * HIDDEN * 2
    assert sent == [
        ("pipeline send", 3, "p2p", states // 4),
        ("pipeline gather", 3, "all_gather", states),
    ]
    alone = LLAMA.decode(16, 1024, parallel={"pp": 4})
    assert [each[:3] for each in moved(alone)] == [("pipeline send", 3, "p2p")]
