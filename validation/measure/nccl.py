"""Times of NCCL's collectives between the GPUs of one host, one process a GPU.

    python -m hwmodel.validation.measure.nccl --sitting NAME --seconds 60 --out DIR

Method. `calls` calls of a collective, bf16, are captured in one CUDA graph; they cycle over buffers
that together exceed the L2 several times or, where many small ones do not, follow a read of a large
buffer. Before each replay a tiny all-reduce lets the ranks start together, behind a pause that
gives the hosts time to queue what follows. A replay's time is that of its slowest rank; the median
over replays, less the cost of an empty replay, over `calls`, is `time_s`. Operations are out of
place, but for all_reduce, which torch offers in place only, so that repeated sums overflow; no
time depends on it. p2p is one message from rank 0 to rank 1. Sizes and conventions: `messages.py`.

Writes DIR/header.json and DIR/rows.jsonl, one row a line, flushed as it is measured. The library's
settings (NCCL_* in the environment) are left as they are, and stand in the header. `--backend gloo`
runs the same code on the CPU, without graphs; its times mean nothing.
"""

# pyright: basic, reportMissingImports=false

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.validation.measure.arena import Arena, Carver
from hwmodel.validation.measure.messages import (
    ITEM_BYTES,
    OPERATIONS,
    Message,
    anchors,
    drawn,
    elements,
    empty_replay_s,
    slowest,
)

POOL_BYTES = {"cuda": 8 << 30, "cpu": 1 << 24}
COLD_BYTES = 5 * (60 << 20)
"""Five times the L2 of an H200: buffers together larger than this find it cold."""
REPLAY_S, MEASURE_S = 1.2e-3, 40e-3
LEAST_CALLS, MOST_CALLS = 4, 100
LEAST_REPLAYS, MOST_REPLAYS = 5, 15
PAUSE_CYCLES = 600_000
"""Some 0.3 ms, in which a host queues a replay."""
EMPTY_COUNTS = (10, 20, 40, 80)
TIMEOUT = timedelta(seconds=60)
ALL_GATHER = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)
REDUCE_SCATTER = getattr(dist, "reduce_scatter_single", dist.reduce_scatter_tensor)
"""By their names since torch 2.13, or those before."""
Call = Callable[[], Any]


@dataclass
class Member:
    """One rank: its device, its buffers, and what a replay without calls costs."""

    rank: int
    ranks: int
    device: str
    arena: Arena
    flush_buffer: torch.Tensor | None = None
    replay_s: float = 0.0

    def join(self, value: float) -> float:
        """The largest of all ranks' values: what all of them then act upon."""
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return float(told.item())

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """Every rank's values."""
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        every = [torch.empty_like(mine) for _ in range(self.ranks)]
        dist.all_gather(every, mine)
        return [each.tolist() for each in every]

    def synchronize(self) -> None:
        """Waits until the device has done what was queued."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def call_of(member: Member, op: str, given: torch.Tensor, taken: torch.Tensor) -> Call | None:
    """One call of an operation on a rank's buffers; None on a rank that has no part in it."""
    if op == "p2p":
        if member.rank > 1:
            return None
        return (lambda: dist.send(given, 1)) if member.rank == 0 else lambda: dist.recv(given, 0)
    return {
        "all_reduce": lambda: dist.all_reduce(given),
        "all_gather": lambda: ALL_GATHER(taken, given),
        "reduce_scatter": lambda: REDUCE_SCATTER(taken, given),
        "all_to_all": lambda: dist.all_to_all_single(taken, given),
    }[op]


def buffers(member: Member, op: str, size_bytes: int, carver: Carver) -> Call | None:
    """A call on fresh buffers."""
    count_in, count_out = elements(op, size_bytes, member.ranks)
    return call_of(member, op, carver.take(count_in), carver.take(count_out))


def check(member: Member) -> None:
    """Every operation once, on numbers whose answer is known; raises where it is another."""
    size = 4 * member.ranks * ITEM_BYTES
    ranks, own = member.ranks, float(member.rank + 1)
    total = ranks * (ranks + 1) / 2
    every = [float(r + 1) for r in range(ranks) for _ in range(4)]
    for op in OPERATIONS:
        count_in, count_out = elements(op, size, ranks)
        kind = {"device": member.device, "dtype": torch.bfloat16}
        given, taken = torch.full((count_in,), own, **kind), torch.zeros(count_out, **kind)
        call = call_of(member, op, given, taken)
        if call is not None:
            call()
        member.synchronize()
        found = (taken if count_out else given).tolist()
        sent = [1.0 if member.rank < 2 else own] * count_in
        wanted = {"all_gather": every, "all_to_all": every, "p2p": sent}
        if found != wanted.get(op, [total] * len(found)):
            raise HwmodelError(f"{op}: rank {member.rank} expected {wanted.get(op, total)}, "
                               f"found {found}; the library does not compute it")  # fmt: skip


def eager_s(member: Member, call: Call | None) -> float:
    """A rough time of one call after a warm one, agreed between the ranks."""
    for _ in range(2):
        member.join(0.0)
        begin = time.perf_counter()
        if call is not None:
            call()
        member.synchronize()
    return max(member.join(time.perf_counter() - begin), 1e-6)


def prepare(member: Member, message: Message) -> tuple[list[Call | None], int, int]:
    """(calls on buffers of their own, calls in a graph, bytes of one set), alike on every rank."""
    carver = Carver(member.arena)
    first = buffers(member, message.op, message.bytes, carver)
    set_bytes = ITEM_BYTES * sum(elements(message.op, message.bytes, member.ranks))
    calls = int(min(max(REPLAY_S / eager_s(member, first), LEAST_CALLS), MOST_CALLS))
    room = max(1, member.arena.capacity_bytes["bf16"] // (set_bytes + 4096))
    count = max(1, min(-(-COLD_BYTES // set_bytes), calls, room))
    rest = [buffers(member, message.op, message.bytes, carver) for _ in range(count - 1)]
    return [first, *rest], -(-calls // count) * count, set_bytes


def replays(member: Member, sets: list[Call | None], calls: int, flush: bool) -> list[list[float]]:
    """Seconds of each replay of `calls` calls, by rank."""
    if member.device == "cpu":
        mine = [_host_replay(member, sets, calls) for _ in range(LEAST_REPLAYS)]
        return member.gather(mine)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        graph = torch.cuda.CUDAGraph()
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            for index in range(calls):
                call = sets[index % len(sets)]
                if call is not None:
                    call()
        finally:
            graph.capture_end()
        first_s = member.join(_graph_replays(member, stream, graph, 2, flush)[-1])
        count = int(min(max(MEASURE_S / first_s, LEAST_REPLAYS), MOST_REPLAYS))
        every = member.gather(_graph_replays(member, stream, graph, count, flush))
        stream.synchronize()
        graph.reset()
    return every


def _host_replay(member: Member, sets: list[Call | None], calls: int) -> float:
    member.join(0.0)
    begin = time.perf_counter()
    for index in range(calls):
        call = sets[index % len(sets)]
        if call is not None:
            call()
    return time.perf_counter() - begin


def _graph_replays(member: Member, stream: Any, graph: Any, count: int, flush: bool) -> list[float]:
    """Times of replays queued back to back, each behind a pause and a meeting of the ranks."""
    token = torch.zeros(1, device="cuda")
    marks = [
        tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(count)
    ]  # fmt: skip
    for start, stop in marks:
        torch.cuda._sleep(PAUSE_CYCLES)
        if flush:
            _flush(member)
        dist.all_reduce(token)
        start.record(stream)
        graph.replay()
        stop.record(stream)
    stream.synchronize()
    return [start.elapsed_time(stop) * 1e-3 for start, stop in marks]


def _flush(member: Member) -> None:
    """Reads a buffer of several L2 capacities."""
    if member.flush_buffer is None:
        member.flush_buffer = torch.ones(COLD_BYTES // 4, dtype=torch.int32, device="cuda")
    torch.amax(member.flush_buffer)


def measure(member: Member, message: Message) -> dict[str, Any]:
    """One row."""
    sets, calls, set_bytes = prepare(member, message)
    flush = len(sets) * set_bytes < COLD_BYTES
    elapsed_s = replays(member, sets, calls, flush)
    return {
        **{"family": "collective", "kernel": "nccl", "dtype": "bf16", "op": message.op},
        **{"bytes": message.bytes, "ranks": member.ranks, "anchor": message.anchor},
        **asdict(slowest(elapsed_s, calls, member.replay_s)),
        **{"calls": calls, "replays": len(elapsed_s[0]), "sets": len(sets)},
        **{"set_bytes": set_bytes, "flushed": flush},
    }


def empty_replay(member: Member) -> dict[str, float]:
    """Measures and keeps the cost of a replay without calls."""
    tiny = [torch.zeros(8, dtype=torch.bfloat16, device=member.device) for _ in range(8)]
    sets: list[Call | None] = [lambda one=one: dist.all_reduce(one) for one in tiny]
    whole = [slowest(replays(member, sets, n, False), 1).time_s for n in EMPTY_COUNTS]
    member.replay_s, node_s = empty_replay_s(EMPTY_COUNTS, whole)
    return {"replay_s": member.replay_s, "node_s": node_s}


def facts(member: Member) -> dict[str, Any]:
    """What every row shares: device, boards of all ranks, driver, libraries, links, settings."""
    if member.device == "cpu":
        return {"device": "cpu", "board": "cpu", "ranks": member.ranks}
    import pynvml

    from hwmodel.validation.measure.board import board_name, describe, open_board

    first, own = open_board(), open_board(torch.cuda.current_device())
    boards: list[Any] = [None] * member.ranks
    dist.all_gather_object(boards, board_name(own))
    settings = {k: v for k, v in sorted(os.environ.items()) if k.startswith("NCCL_")}
    return describe(first) | {
        "board": "-".join(boards),
        "ranks": member.ranks,
        "nccl": ".".join(str(part) for part in torch.cuda.nccl.version()),
        "nvlinks": _nvlinks(pynvml, own.handle),
        "settings": settings,
    }


def _nvlinks(pynvml: Any, handle: Any) -> int:
    """How many NVLinks of a board are up."""
    up = 0
    for index in range(getattr(pynvml, "NVML_NVLINK_MAX_LINKS", 18)):
        try:
            up += int(pynvml.nvmlDeviceGetNvLinkState(handle, index) == 1)
        except pynvml.NVMLError:
            break
    return up


def run_rank(rank: int, options: argparse.Namespace, meeting: str) -> None:
    """All of one process: joins the others, measures until the time is up; rank 0 writes."""
    device = "cpu" if options.backend == "gloo" else "cuda"
    where: dict[str, Any] = {}
    if device == "cuda":
        torch.cuda.set_device(rank)
        where = {"device_id": torch.device("cuda", rank)}
    dist.init_process_group(
        options.backend, init_method=f"file://{meeting}", rank=rank, world_size=options.ranks,
        timeout=TIMEOUT, **where,
    )  # fmt: skip
    torch.manual_seed(options.seed + rank)
    arena = Arena(device=device, capacity_bytes={"bf16": POOL_BYTES[device]})
    member = Member(rank, options.ranks, device, arena)
    check(member)
    end = time.perf_counter() + options.seconds
    header = facts(member) | {"sitting": options.sitting, "seed": options.seed}
    header |= empty_replay(member) | {"date": time.strftime("%Y-%m-%d", time.gmtime())}
    writer = None
    if rank == 0:
        write_header(options.out, header)
        writer = (options.out / "rows.jsonl").open("w")
    cases = chain(anchors(), drawn(options.seed, options.ranks))
    measured = 0
    for message in cases:
        late = time.perf_counter() > end or measured >= options.most_rows
        if member.join(float(late)) > 0:
            break
        if message.bytes > POOL_BYTES[device] // 4:
            continue
        row = measure(member, message)
        measured += 1
        if writer is not None:
            writer.write(json.dumps({"stage": "anchors" if message.anchor else "collective"} | row))
            writer.write("\n")
            writer.flush()
    if writer is not None:
        writer.close()
        write_header(options.out, header | {"rows": measured})
        print(f"{measured} rows in {options.out}", flush=True)
    dist.destroy_process_group()


def write_header(folder: Path, header: dict[str, Any]) -> None:
    """What every row shares, in a file and on the screen."""
    text = json.dumps(header, indent=1)
    (folder / "header.json").write_text(text, encoding="utf-8")
    print(text, flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked; raises `InputError`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sitting", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-rows", type=int, default=400)
    parser.add_argument("--backend", choices=("nccl", "gloo"), default="nccl")
    options = parser.parse_args(given)
    if options.ranks < 2:
        raise InputError(f"--ranks: expected 2 or more, found {options.ranks}")
    if options.seconds <= 0:
        raise InputError(f"--seconds: expected a number above 0, found {options.seconds:g}")
    found = torch.cuda.device_count() if options.backend == "nccl" else options.ranks
    if found < options.ranks:
        raise InputError(f"--ranks {options.ranks}: expected as many GPUs, found {found}")
    return options


def main(given: Sequence[str] | None = None) -> None:
    """Starts one process for each rank and waits for them."""
    options = arguments(given)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        torch.multiprocessing.spawn(run_rank, args=(options, meeting), nprocs=options.ranks)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
