"""Embedding and head, divided by tensor parallelism or whole on a device."""

import hwmodel as hw
from hwmodel.einsum.division import Division


def test_whole_ends_are_not_divided_and_send_nothing() -> None:
    """Llama-3.1-8B: two tables of 128,256 x 4,096 weights in 16 bits, on each of four devices."""
    model, on = hw.model("llama-3.1-8b"), hw.device("h200") * 4
    parts, whole = (Division(tp=4), Division(tp=4, ends="whole"))
    more = model.shard(whole).weight_bytes - model.shard(parts).weight_bytes
    assert more == 2 * 128256 * 4096 * 2 * 3 / 4
    found = {
        how: hw.predict(model.decode(1, 1024), on=on, parallel={"tp": 4, "ends": how})
        for how in ("divided", "whole")
    }
    heads = {
        how: next(part for part in each.parts if part.name.startswith("head"))
        for how, each in found.items()
    }
    assert heads["whole"].time_s > 2.5 * heads["divided"].time_s
    assert not heads["whole"].counts.messages
