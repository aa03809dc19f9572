"""Cache policies: bytes by hand, a step loop for what saws, devices, and what a step reads."""

import numpy as np
import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.policies.lazy_eviction import LazyEviction
from hwmodel.einsum.workloads.policies.named import policy
from hwmodel.einsum.workloads.policies.policy import uneven
from hwmodel.einsum.workloads.policies.razor_attention import RazorAttention
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

LLAMA = "llama-3.1-8b"  # 32 layers, 8 key-value heads of 128, bf16: 4,096 bytes a token and layer


def test_a_short_context_is_kept_whole() -> None:
    kept = Kept(fixed=5, share=0.2, least=4000)
    assert [kept.tokens(n) for n in (100, 4005, 20480, 40000)] == [100, 4005, 4101, 8005]
    assert np.array_equal(kept.tokens(np.array([100, 40000])), [100, 8005])


def test_half_of_the_tokens_are_half_of_the_bytes() -> None:
    assert model(LLAMA, cache_policy="keyformer").kv_bytes(3, 8192) == 3 * 4096 * 32 * 4096


def test_whole_heads_are_spread_over_the_layers() -> None:
    heads = [uneven(0.15, layer, 8) for layer in range(32)]
    assert sum(heads) == 38  # 0.15 of 256
    assert set(heads) == {1, 2}


def test_retrieval_heads_keep_all_and_local_ones_their_part() -> None:
    # 38 heads of 256 keep 20,480 tokens, the others 4 + 1 + 4,096; a head's token is 512 bytes.
    told = model(LLAMA, cache_policy="razor-attention")
    assert told.kv_bytes(1, 20480) == (38 * 20480 + 218 * 4101) * 512


def test_a_policy_without_whole_heads_equals_one_of_the_same_classes() -> None:
    razor = model(LLAMA, cache_policy="razor-attention:full=0.25,sinks=16,local=512,near=0")
    task = model(LLAMA, cache_policy="task-kv:full=0.25,sinks=17,recent=256,middle=256")
    assert razor.kv_bytes(2, 9000) == task.kv_bytes(2, 9000)


def test_a_lazy_cache_reads_its_mean_and_holds_its_peak() -> None:
    budget, every, tokens = 2048, 128, 16384
    held, sizes = budget, list[int]()
    for _ in range(tokens):
        held += 1
        sizes.append(held)
        held = budget if held == budget + every else held
    ours = LazyEviction(budget, every).classes(0, 8)[0]
    assert ours.held is not None
    assert ours.held.tokens(tokens) == max(sizes)
    assert ours.kept.tokens(tokens) == pytest.approx(np.mean(sizes), rel=3e-4)


@pytest.mark.parametrize(
    ("name", "matrices", "kept_tokens"),
    # Keyformer's noise add reads two matrices, softmax one, score add two, the least score one.
    [
        ("keyformer", 6, 10240),
        ("razor-attention", 0, 0),
        ("lazy-eviction:every=2", 3, 2049),
        ("task-kv", 0, 0),
    ],
)
def test_a_step_reads_less_holds_more_sequences_and_keeps_the_parameters(
    name: str, matrices: int, kept_tokens: int
) -> None:
    full, kept = model(LLAMA), model(LLAMA, cache_policy=name)
    slow, fast = (predict(each.decode(8, 20480), "h200") for each in (full, kept))
    assert kept.parameters == full.parameters
    assert fast.time_s < slow.time_s
    assert fast.serving is not None
    assert slow.serving is not None
    saved = full.kv_bytes(8, 20480) - kept.kv_bytes(8, 20480)
    read = slow.dram_bytes_read - fast.dram_bytes_read
    books = matrices * 32 * (8 * 32) * kept_tokens * 4  # layers, rows, tokens, bytes
    assert read + books == pytest.approx(saved, rel=0.02)
    assert fast.serving.memory.largest_batch > 1.9 * slow.serving.memory.largest_batch


def test_a_prompt_is_attended_to_in_full() -> None:
    full, kept = model(LLAMA), model(LLAMA, cache_policy="task-kv")
    assert predict(full.prefill(1, 4096), "h200").time_s == pytest.approx(
        predict(kept.prefill(1, 4096), "h200").time_s
    )


def test_a_device_of_several_has_the_most_heads_of_a_class() -> None:
    # Of 8 heads 1 or 2 are whole: each of 8 devices must expect one, and one local head.
    shard = model(LLAMA, cache_policy="razor-attention").shard(8)
    assert shard.kv_bytes(1, 20480) == 32 * (20480 + 4101) * 512


def test_what_a_policy_assumes_is_told() -> None:
    told = model(LLAMA, cache_policy=RazorAttention(full=0.5)).decode(1, 4096).warnings
    assert any("razor-attention" in text and "full=0.5" in text for text in told)


def test_bad_policies_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="keyformer"):
        policy("keyformr")
    with pytest.raises(UnknownNameError, match="share"):
        policy("keyformer:shar=0.5")
    with pytest.raises(InputError, match="a share from 0 to 1, found '2'"):
        policy("keyformer:share=2")
    with pytest.raises(InputError, match=r"a whole number, found '1\.5'"):
        policy("lazy-eviction:budget=1.5")


def test_a_model_whose_layers_all_have_windows_is_refused() -> None:
    with pytest.raises(CoverageError, match="whole context"):
        model(
            {
                "model_type": "mistral",
                **{"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2},
                **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000},
                **{"sliding_window": 128, "torch_dtype": "bfloat16"},
            },
            cache_policy="keyformer",
        )
