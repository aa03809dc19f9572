"""Encoder-decoders: what each step runs, what is kept of a source, published totals."""

from collections import Counter

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

BASE = {
    **{"model_type": "t5", "d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    "torch_dtype": "bfloat16",
}
TINY = {"model_type": "whisper", "torch_dtype": "float16"}
PUBLISHED = {
    # Totals that the checkpoints' own files hold, tied tables once.
    "t5-small": ({"model_type": "t5"}, 60_506_624),
    "t5-base": (BASE, 222_903_552),
    "whisper-tiny": (TINY, 37_760_640),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_equal_the_published_total(name: str) -> None:
    config, total = PUBLISHED[name]
    assert model(config).parameters == total


def named(stack: Stack) -> Counter[str]:
    found = Counter[str]()
    for stage in stack.stages:
        found[stage.name] += int(stage.times)
    return found


def test_decode_runs_the_decoder_alone() -> None:
    read = model(BASE)
    prompt, token = named(read.prefill(2, 100)), named(read.decode(2, 30))
    assert prompt["attention norm"] == prompt["mlp norm"] == 12
    assert token["attention norm"] == token["mlp norm"] == token["cross kv"] == 0
    for name in ("cross attention", "cross q", "decoder mlp norm", "decoder attention norm"):
        assert prompt[name] == token[name] == 12
    assert prompt["cross kv"] == 12
    assert prompt["head"] == token["head"] == 1


def sized(stack: Stack, name: str) -> Stage:
    return next(stage for stage in stack.stages if stage.name == name)


def test_a_prompt_is_the_source_and_the_decoder_begins_with_one_token() -> None:
    run = model(BASE).prefill(2, 100)
    assert sized(run, "cross kv").cascade.ranks["m"].size == 2 * 100
    assert sized(run, "cross q").cascade.ranks["m"].size == 2
    assert sized(run, "cross attention").cascade.ranks["m"].size == 100


def test_keys_and_values_of_the_source_are_kept_whatever_is_made() -> None:
    read = model(BASE)
    token = 12 * 2 * 12 * 64 * 2  # layers, keys and values, heads, size of a head, bytes
    assert read.kv_bytes_per_token == token
    assert read.kv_bytes(3, 10) == 3 * (512 + 10) * token  # 512 of source where nothing is said
    longer = read.but(source_tokens=2000)
    assert longer.kv_bytes(1, 10) == 2010 * token
    assert sized(longer.decode(1, 10), "cross attention").cascade.ranks["m"].size == 2000


def test_a_recording_is_as_long_as_the_model_was_made_for() -> None:
    read = model(TINY)
    token = 4 * 2 * 6 * 64 * 2
    assert read.kv_bytes(1, 448) == (1500 + 448) * token
    run = read.prefill(1, 1500)
    assert sized(run, "conv 1").cascade.ranks["m"].size == 3000  # frames, two to a position
    assert any("source of 1500 tokens" in told for told in run.warnings)


def test_a_cache_in_fewer_bits_holds_the_source_in_them_too() -> None:
    wide, narrow = (model(BASE, kv_dtype=kind).kv_bytes(1, 100) for kind in ("bf16", "fp8"))
    assert wide == 2 * narrow


def test_a_checkpoint_of_the_encoder_alone_has_one_step() -> None:
    read = model({**BASE, "architectures": ["T5EncoderModel"]})
    assert read.parameters == 109_628_544  # google-t5's encoder: 32128 x 768, 12 layers, a norm
    assert named(read.prefill(1, 10))["cross attention"] == 0
    with pytest.raises(InputError, match="its one step is prefill"):
        read.decode(1, 10)


@pytest.mark.parametrize(
    ("config", "tp"),
    [(BASE, 1), (BASE, 2), (TINY, 1), ({"model_type": "bart"}, 1), ({"model_type": "marian"}, 1)],
)
def test_both_steps_are_predicted(config: dict[str, object], tp: int) -> None:
    read = model(config)
    for run in (read.prefill(1, 300, tp=tp), read.decode(4, 100, tp=tp)):
        estimate = hw.predict(run, on="h200")
        assert estimate.time_s > estimate.bound_s > 0
