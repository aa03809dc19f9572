"""What streams layer by layer: loops worked out by hand, and models beside their bytes."""

import math

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.systems.offload import Block, looped

LLAMA = hw.model("llama-3.1-8b")
LAYER_BYTES = 2 * (4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14336 + 2 * 4096)
PCIE = {"rate": "24 GB/s"}


def test_equal_blocks_take_the_longest_of_up_run_and_down() -> None:
    for block in (Block(5, 3, 2), Block(2, 5, 3), Block(2, 3, 5)):
        loop = looped([block] * 6, 3)
        assert loop.period_s == 6 * 5
        assert loop.exposed_s == 6 * (5 - block.runs_s)


def test_one_place_hides_nothing() -> None:
    assert looped([Block(5, 3, 2)] * 4, 1).period_s == 4 * 10
    assert looped([Block(5, 3)] * 4, 1).period_s == 4 * 8


def test_two_places_are_not_enough_for_what_is_written_back_too() -> None:
    """A place is taken for 5 + 5 + 5; two of them make a block every 7.5, three every 5."""
    assert looped([Block(5, 5, 5)] * 8, 2).period_s == pytest.approx(8 * 7.5)
    assert looped([Block(5, 5, 5)] * 8, 3).period_s == 8 * 5


@pytest.mark.parametrize(("window", "layer_s"), [(2, 61), (4, 56)])
def test_loads_of_other_lengths_hide_where_blocks_may_come_two_ahead(
    window: int, layer_s: float
) -> None:
    """TPI-LLM's example (arXiv 2410.00531): attention 11, MLP 17, all-reduce 14, loads 18 and 30.

    One ahead, each load hides behind the other block alone: 30 behind 25, 18 behind 31. Over both,
    48 of loads hide behind 56 of work.
    """
    layer = [Block(18, 11 + 14), Block(30, 17 + 14)]
    assert looped(layer * 8, window).period_s == 8 * layer_s


def test_ends_of_the_network_hide_the_first_layers_of_the_next_round() -> None:
    blocks = [Block(5, 3)] * 4
    assert looped(blocks, 2).period_s == 20
    assert looped(blocks, 2, before_s=1, after_s=2).period_s == 20
    # Both places fill meanwhile; the third block comes 3 to 8, the fourth 8 to 13 and runs to 16.
    assert looped(blocks, 2, before_s=4, after_s=8).period_s == 12 + 16


def test_no_block_or_place_is_refused() -> None:
    with pytest.raises(InputError, match="expected blocks and a place"):
        looped([], 2)
    with pytest.raises(InputError, match="expected blocks and a place"):
        looped([Block(1, 1)], 0)


def test_a_token_by_itself_waits_for_all_layers() -> None:
    found = hw.predict(LLAMA.decode(1, 1024), on="a100", offload=PCIE)
    assert math.isclose(found.time_s, 32 * LAYER_BYTES / 24e9, rel_tol=1e-3)
    assert math.isclose(found.bound_s, 32 * LAYER_BYTES / 24e9, rel_tol=1e-6)


def test_what_hides_costs_nothing() -> None:
    step = LLAMA.prefill(16, 4096)
    plain, away = hw.predict(step, on="a100"), hw.predict(step, on="a100", offload=PCIE)
    assert math.isclose(away.time_s, plain.time_s, rel_tol=1e-9)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_memory_holds_the_ends_and_places_for_layers(window: int) -> None:
    found = hw.predict(LLAMA.decode(1, 1024), on="a100", offload={**PCIE, "window": window})
    ends = 2 * (2 * 128256 * 4096 + 4096)
    assert found.serving is not None
    assert math.isclose(
        found.serving.memory.weights_bytes, ends + window * LAYER_BYTES, rel_tol=1e-9
    )


def test_a_cache_streams_as_its_bytes_do() -> None:
    step = LLAMA.decode(32, 8192)
    found = hw.predict(step, on="a100", offload={**PCIE, "what": "cache"})
    cache = 32 * 8192 * 32 * 2 * 8 * 128 * 2
    assert math.isclose(found.time_s, cache / 24e9, rel_tol=0.02)
    assert found.serving is not None
    assert found.serving.memory.kv_cache_bytes == cache * 2 / 32


def test_tokens_that_hide_an_upload_are_those_of_the_device_s_rate() -> None:
    """Two passes of t tokens, 4 P t operations, beside 2 P bytes: t = F / (2 BW)."""
    two = {**PCIE, "window": 3, "passes": 2, "back": True}

    def found(tokens: int) -> float:
        step = LLAMA.prefill(1, tokens)
        return float(hw.predict(step, on="a100", offload=two).parts[-1].time_s)

    plain = hw.predict(LLAMA.prefill(1, 4096), on="a100").time_s
    layers = 32 * LAYER_BYTES
    rate = 2 * layers / 2 * 4096 / plain
    enough = rate / (2 * 24e9)
    assert found(round(1.2 * enough)) < 1e-6
    assert found(round(0.8 * enough)) > 0.1 * layers / 24e9


def test_slices_bring_parts_over_links_of_their_own() -> None:
    one, four = (
        hw.predict(LLAMA.decode(1, 1024), on="a100", offload={**PCIE, "slices": n}) for n in (1, 4)
    )
    share = 1 / 4 + 3 / 4 * 24 / 300
    assert math.isclose(four.time_s / one.time_s, share, rel_tol=0.01)


def test_a_drive_is_the_machine_s_own() -> None:
    board, small = hw.device("raspberry-pi-5"), hw.model("llama-3.2-1b")
    found = hw.predict(small.decode(1, 256), on=board, offload={"window": 2})
    assert board.storage is not None
    layers = small.weight_bytes - 2 * (128256 * 2048 + 2048)
    least = layers / board.storage.bandwidth_bytes_per_s
    assert least < found.time_s < 1.1 * least
    with pytest.raises(CapacityError, match="stream from storage, which has"):
        hw.predict(hw.model("llama-3.1-405b").decode(1, 256), on=board, offload={"window": 2})


def test_what_is_not_modelled_is_refused() -> None:
    step = LLAMA.decode(1, 1024)
    with pytest.raises(CoverageError, match="h200 has no storage; say the rate"):
        hw.predict(step, on="h200", offload={"window": 2})
    with pytest.raises(CoverageError, match="no engine's way to offload"):
        hw.predict(step, on="h200", engine="vllm", offload=PCIE)
    with pytest.raises(CoverageError, match="in a pipeline"):
        hw.predict(step, on=hw.device("h200") * 2, parallel={"pp": 2}, offload=PCIE)
    with pytest.raises(InputError, match="expected a model's prefill or decode"):
        hw.predict(hw.workloads.gemm(64, 64, 64), on="h200", offload=PCIE)


def test_cases_and_other_verbs_follow() -> None:
    from hwmodel.verbs.request import answerer, read

    asked = {"workload": "llm", "config": "llama-3.1-8b", "phase": "decode", "batch": 1}
    asked |= {"context": 1024, "on": "a100", "offload": "rate=24GB/s,window=3"}
    request = read(asked)
    found = answerer(request.form)(request.sizes)
    again = hw.predict(LLAMA.decode(1, 1024), on="a100", offload={**PCIE, "window": 3})
    assert found.time_s == again.time_s
