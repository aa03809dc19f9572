"""What a cache keeps of a request: layers with a window, and whether an engine lets them forget."""

from dataclasses import replace

import hwmodel as hw
from hwmodel.einsum.network import Stack
from hwmodel.machines.gpu.engines.kept import longest_bytes
from hwmodel.machines.gpu.engines.trtllm import ENGINE


def test_a_window_keeps_itself_and_a_step_or_all_where_none_forgets() -> None:
    """gpt-oss-20b: 24 layers of 2 x 8 x 64 elements in bf16, every other one sees 128 keys.

    Of 17,000 tokens such a layer keeps 127, the 8,192 of a step and a block of 32.
    """
    work = hw.model("gpt-oss-20b").decode(1, 1024)
    assert isinstance(work, Stack)
    each = 2 * 8 * 64 * 2
    whole = longest_bytes(work, ENGINE.memory)
    forgets = longest_bytes(work, replace(ENGINE.memory, whole=False))
    assert whole == 24 * 17000 * each
    assert forgets == 12 * (17000 + 127 + 8192 + 32) * each
