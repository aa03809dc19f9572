"""DeepEP's published exchanges of experts, and steps of DeepSeek-V3 whose batches take turns.

Of the repository (deepseek-ai/DeepEP, commit dd758caf, docs/legacy.md): 24 processors send rows of
4,096 tokens once to each box and device (normal kernels), GPUs hand 128 tokens' rows to cards
themselves (low latency); 8 to 256 H800, hidden 7,168, 8 experts of 256 a token, in fp8 there and
bf16 back. Its bandwidths count a row for each box it goes to, its own included, or in one box for
each device (tests/test_internode.py, test_intranode.py). Two shares of links and how far levels
overlap are fitted to the eight normal rows, one start to the twelve others.

Of lm-sys.github.io (2db4e40, blog 2025-05-05): tokens a second of a node, read from DeepSeek's
profile, and SGLang's: prompts over 32 GPUs, 16,384 tokens on each, and decode over 72, 256
sequences on each, with 32 copies of experts; its routing is less than balanced, but for one row,
which is the condition that is modelled. DeepSeek's 62,713 of prompts is that row of another engine:
ours is 7 % below, and no second figure of one prediction.
DeepGEMM's experts have rates of its own published products; nothing is fitted to these rows.
"""

from typing import Any

from hwmodel.einsum.fan import Fan
from hwmodel.einsum.workloads.collective import collective
from hwmodel.einsum.workloads.model import model
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

BOX = 8
HIDDEN, PICKS, EXPERTS, GROUPS = 7168, 8, 256, 4
ROW_BYTES = {"dispatch": HIDDEN * (1 + 4 / 128), "combine": HIDDEN * 2}
"""fp8 with a scale in fp32 for 128 elements; bf16."""

NORMAL = {1: (153, 158), 2: (43, 43), 4: (58, 57), 8: (51, 50)}
"""Nodes -> GB/s of dispatch and combine."""
SMALL = {1: (77, 114), 2: (118, 195), 4: (155, 273), 8: (173, 314), 16: (192, 369), 32: (194, 360)}
"""Nodes -> microseconds of dispatch and combine."""
SOURCE = "deepseek-ai/DeepEP, docs/legacy.md"
FITTED = "shares of links and overlap, or the start, are fitted to these rows"

SGLANG = "SGLang, large expert parallel"
SERVED = "lm-sys.github.io, blog 2025-05-05"
DECODED = 22_282
UNBALANCED = (57_674, 54_543, 50_302, DECODED)
"""As prompts were routed, which is not modelled: all devices have as many rows here."""
BALANCED = "every device is as busy as the mean here: with all balanced its prompts are 18 % faster"
STANDS = "kernels around experts and exchanges are another engine's on the same GPU"


def exchanges(given: Given) -> tuple[Claim, ...]:
    """Bandwidths of normal kernels, seconds of those of low latency."""
    found: list[Claim] = []
    for way, (nodes, told) in ((w, n) for w in range(2) for n in NORMAL.items()):
        op = list(ROW_BYTES)[way]
        name = f"normal {op}, {nodes * BOX} GPUs, GB/s"
        ours = normal(given, nodes, op) / 1e9
        found.append(Claim("DeepEP", name, told[way], ours, 0.1, SOURCE, within=FITTED))
    for way, (nodes, told) in ((w, n) for w in range(2) for n in SMALL.items()):
        op = list(ROW_BYTES)[way]
        name = f"{op} of low latency, {nodes * BOX} GPUs, us"
        ours = small_s(given, nodes, op) * 1e6
        found.append(Claim("DeepEP", name, told[way], ours, 0.1, SOURCE, within=FITTED))
    return tuple(found)


def normal(given: Given, nodes: int, op: str) -> float:
    """Bytes/s of rows sent once, as the repository counts them."""
    tokens = given("tokens of a GPU", 4096)
    limited: dict[str, Any] = {"groups": nodes, "taken": min(nodes, GROUPS)}
    picks = given("experts of a token", PICKS, 6)
    size = round(tokens * picks * ROW_BYTES[op])
    how: dict[str, Any] = {"dispatch": "once", "picks": picks, "experts": EXPERTS, **limited}
    work = collective("all_to_all", size, nodes * BOX, **how)
    took_s = float(predict(work, given.device("h100"), topology=f"h800-cx7:nodes={nodes}").time_s)
    fan = Fan(picks, EXPERTS, **limited)
    return tokens * ROW_BYTES[op] * fan.reached(BOX if nodes == 1 else nodes) / took_s


def small_s(given: Given, nodes: int, op: str) -> float:
    """Seconds of rows that GPUs send themselves, one for each expert."""
    size = round(given("tokens of a small step", 128) * PICKS * ROW_BYTES[op])
    work = collective("all_to_all", size, nodes * BOX, dispatch="low-latency")
    return float(predict(work, given.device("h100"), topology=f"h800-cx7:nodes={nodes}").time_s)


def taking_turns(given: Given) -> tuple[Claim, ...]:
    """Tokens a second of a node, prompts and decode, of batches that take turns."""
    read = [tokens_per_s(given, 32, "once", size) for size in (1024, 2048, 4096)]
    profile = f"{SERVED}: of DeepSeek's profile"
    each: tuple[tuple[str, str, float, float, str], ...] = (
        (
            *("DeepSeek-V3 serving", "tokens/s a node, decode over 128"),
            *(18_598, tokens_per_s(given, 128, "low-latency", 4096), profile),
        ),
        (SGLANG, "prompts of 4,096, balanced, tokens/s a node", 59_337, read[2], SERVED),
        (SGLANG, "prompts of 1,024, tokens/s a node", 57_674, read[0], SERVED),
        (SGLANG, "prompts of 2,048, tokens/s a node", 54_543, read[1], SERVED),
        (SGLANG, "prompts of 4,096, tokens/s a node", 50_302, read[2], SERVED),
        (
            *(SGLANG, "tokens/s a node, decode over 72"),
            *(DECODED, tokens_per_s(given, 72, "low-latency", 2000, 256), SERVED),
        ),
    )
    return tuple(
        Claim(system, what, published, ours, 0.1, told, within=STANDS,
              cause=BALANCED if published in UNBALANCED else "")
        for system, what, published, ours, told in each
    )  # fmt: skip


def tokens_per_s(given: Given, ways: int, dispatch: str, tokens: int, batch: int = 128) -> float:
    """Of a node of 8, experts over so many GPUs, attention apart on each."""
    deepseek = model("deepseek-v3")
    length = tokens * given("times the tokens of a sequence", 1)
    turns = given("overlap", "two-batch", "none")
    how = {"dp": ways, "ep": ways, "dispatch": dispatch, "overlap": turns}
    how["redundant"] = 0 if ways == 128 else given("copies of experts", 32, 320)
    if dispatch == "once":
        sequences, count = given("tokens of a GPU that are read", 16_384) // length, length
        work = deepseek.prefill(sequences * ways, length, parallel=how)
    else:
        sequences, count = batch, 1
        work = deepseek.decode(sequences * ways, length, parallel=how)
    machine = given.device("h100") * ways
    network = f"h800-cx7:nodes={ways // BOX}"
    found = predict(work, machine, engine="sglang", topology=network)
    return BOX * sequences * count / float(found.time_s)


PROGRAMS = (exchanges, taking_turns)
