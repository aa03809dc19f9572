"""A second memory behind the cache: what comes back from it by hand, and a stream that needs it."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.beyond import Beyond, Fetching
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler
from tests.hwmodel.systems.serving.clocks import Linear

RULES = Scheduler(in_flight=1)


def _ask(at_s: float, name: int) -> Request:
    """80 tokens, of which the first 64 are a beginning that others share."""
    return Request(at_s, 80, 1, hashes=(name,), span=64)


def _computed(memory_bytes: float, names: str) -> list[float]:
    """Seconds of each request in turn: a token is a second; eight blocks of 16 tokens."""
    clock = Linear(kv_tokens=128, base_s=0.0, token_s=1.0)
    steps = Fetching(clock, Beyond(memory_bytes, 32.0), 1.0)  # a token is a byte
    asked = [_ask(1000.0 * n, ord(name)) for n, name in enumerate(names)]
    stays = run(asked, steps, RULES).stays
    return [stay.last_s - stay.request.arrival_s for stay in stays]


def test_what_was_evicted_comes_back_over_the_link() -> None:
    """Of two beginnings one has room. The evicted one is 2 s on the link, and 16 tokens are new."""
    assert _computed(0.0, "ABA") == [80, 80, 80]
    assert _computed(64.0, "ABA") == [80, 80, 16]
    assert _computed(64.0, "AA") == [80, 16]


def test_the_second_memory_forgets_what_was_used_longest_ago() -> None:
    """Room for one: C drives B out, and A is long gone; with room for two A is there."""
    assert _computed(64.0, "ABCA") == [80, 80, 80, 80]
    assert _computed(128.0, "ABCA") == [80, 80, 80, 16]


def test_a_step_lasts_as_long_as_what_it_loads() -> None:
    steps = Fetching(Linear(base_s=1.0), Beyond(1e9, 100.0), 2.0)
    assert steps.seconds(Batch(1, 10)) == 1.0
    assert steps.seconds(Batch(1, 10, 1, 16, 100, loaded=200)) == 4.0
    assert steps.beyond_tokens == 500_000_000


def test_a_stream_finds_its_beginnings_on_the_host(tmp_path: Any) -> None:
    """Twelve beginnings of 4,096 tokens in turn, on a cache for some six: all come back."""
    lines = [
        f'{{"timestamp": {2000 * n}, "input_length": 4600, "output_length": 8,'
        f' "hash_ids": [{", ".join(str(100 * (n % 12) + k) for k in range(8))}]}}'
        for n in range(36)
    ]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(lines))
    asked: dict[str, Any] = {"trace": str(trace), "memory_fraction": 0.275}
    llama = hw.model("llama-3.1-8b")
    here: Any = hw.predict(llama.serving(**asked), on="h100")
    away = {**asked, "kv_offload": "memory=100GB,rate=50GB/s"}
    found: Any = hw.predict(llama.serving(**away), on="h100")
    assert here.kv_tokens < 12 * 4096
    assert here.prefix_hit_rate == 0
    assert found.prefix_hit_rate == pytest.approx(24 / 36 * 4096 / 4600, rel=1e-6)
    assert found.ttft_s < 0.6 * here.ttft_s


@pytest.mark.parametrize(
    ("given", "said"),
    [("memory=1GB", "found no rate"), ("memory=1GB,rate=1GB/s,disk=1", "unknown field 'disk'")],
)
def test_what_is_no_second_memory_is_refused(given: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Beyond.of(given)
