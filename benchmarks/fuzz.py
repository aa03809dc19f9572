"""Random and mutated input at every entrance: whatever comes in, one line of refusal goes out.

    nice -n 15 python benchmarks/fuzz.py [--cases 100000] [--seed 0] [--entrance NAME ...]
    python benchmarks/fuzz.py --entrance cases --seed 0 --only 4711     (one case again, in full)

Each case is a valid seed of an entrance (`ENTRANCES`), changed at one to four places by its grammar
(other values, kinds, names, repeats, nests) or as bytes and text, and answered in this process. A
fault is any exception that is not an `HwmodelError`, an internal error, an exit status of 1, a line
of a file of cases that was lost, or more than `SECONDS`; memory above `--memory` GiB raises. Cases
depend on seed, entrance and number alone. Prints a table of entrances and the faults, each with its
input, and ends with status 1 where there is one. 100,000 cases take some ten minutes of one core.
"""

import argparse
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from hwmodel.quantity.errors import HwmodelError
from hwmodel.quantity.printable import shown

Random: TypeAlias = random.Random

SECONDS = 20.0
"""Most that a case may take on a busy core; honest ones take milliseconds."""

WORDS = (
    *("h200", "b200", "fusemax", "stm32h743", "peer-a2", "bf16", "fp8", "int4@128:20", "mxfp4"),
    *("triton", "cublas", "cudnn", "torch", "flash-attention-2", "vllm", "llama-3.1-8b", "decode"),
    *("uniform", "zipf", "traffic", "energy", "tp", "on", "kernel", "all_reduce", "mixtral-8x7b"),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 1e-300, 1e300, 1e15, 2**31, 2**53, 2**53 + 1),
    *(10**30, 10**310, -(10**310), float("nan"), float("inf"), float("-inf"), "", " ", "x" * 300),
    *("\0", "\ud800", "²", "٣", "1e9", "4 GB", "4.8 TB/s", "\x1b[31mred", "\u202e", "a\nb", "NaN"),
    *("../..", "/", "/dev/null", ".", "absent.yaml", "absent.json", "\0.yaml", "\ud800.yaml"),
    *("x" * 300 + ".yaml", "-1", "1_", "_", "__class__", "{}", "[]", "%s", "@", "fp8@0:1"),
    *(
        [],
        {},
        [1],
        [1, 2, 3],
        ["a", None, 3],
        {"a": 1},
        {"": ""},
        [[]],
        [[[[1]]]],
        {"a": {"b": []}},
    ),
)
PYTHON_ODD: tuple[Any, ...] = (
    *(np.float64(3), np.int64(4), np.bool_(True), np.datetime64("2020-01-01"), 1j, b"x", object()),
    *(np.array([1.0, 2.0]), np.array([]), np.array(5), np.array(["1"]), np.array([1j]), range(3)),
    *(np.array([True]), np.array([np.nan]), np.array([[1, 2], [3, 4]]), (1,), {1}, int, len),
    *(
        np.datetime64("NaT"),
        np.float32("nan"),
        np.array([None]),
        [10**400],
        10**5000,
        Path("."),
        set(),
    ),
)


class TookTooLong(BaseException):
    """Raised by the alarm; no `except Exception` on the way may catch it."""


@contextmanager
def limited(seconds: float) -> Generator[None, None, None]:
    def ring(*_: Any) -> None:
        raise TookTooLong(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


# Mutations

CHANGES = (1, 1, 1, 2, 4)
"""How many places of a seed are changed: one breaks one thing, and what follows is reached."""


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def odd(rng: Random, more: tuple[Any, ...] = ()) -> Any:
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(WORDS)
    if kind < 0.3:
        return rng.choice((rng.randrange(1, 9), rng.randrange(1, 10**6), 2 ** rng.randrange(40)))
    if kind < 0.33:
        return nested(rng.choice((3, 60, 70, 200)), rng.random() < 0.5)
    return copied(rng.choice((*ODD, *more)))


def nested(depth: int, table: bool) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = {"a": made} if table else [made]
    return made


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    level = [value]
    while level:
        node = level.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            yield node, key
            if isinstance(node[key], (dict, list)):
                level.append(node[key])


def changed(tree: Any, rng: Random, more: tuple[Any, ...] = ()) -> Any:
    """A tree with one to four changes."""
    made = copied(tree)
    for _ in range(rng.choice(CHANGES)):
        found = list(places(made)) if isinstance(made, (dict, list)) else []
        if not found:
            return odd(rng, more)
        node, key = rng.choice(found)
        kind = rng.random()
        if kind < 0.62:
            node[key] = odd(rng, more)
        elif kind < 0.7:
            del node[key]
        elif kind < 0.78 and isinstance(node, dict):
            node[str(odd(rng))] = node.pop(key)
        elif kind < 0.86:
            other, name = rng.choice(found)
            node[key] = copied(other[name])
        elif kind < 0.92:
            node[key] = [node[key]]
        else:
            node[key] = {"a": node[key]}
        if not isinstance(made, (dict, list)) or not made:
            break
    return made


def as_json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)


TOKENS = (
    *(
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        ":",
        ",",
        '"',
        "'",
        "\\",
        "\n",
        "\r\n",
        "\t",
        "#",
        "&a ",
        "*a",
        "|",
    ),
    *(
        "<<: ",
        "!!binary ",
        "!!set ",
        "- ",
        "? ",
        "\ufeff",
        "\0",
        "\x1b[2J",
        "9" * 500,
        "9" * 5000,
        "1_",
    ),
    *(
        "-",
        "+",
        "/",
        "=",
        "~",
        ";",
        "<=",
        "exp(",
        "max(m) ",
        "sum(k) ",
        "inf",
        "nan",
        "²",
        "٣",
        "\ud800",
    ),
    *(
        "[" * 100,
        "(" * 150,
        "-" * 200,
        "{" * 70,
        "+ A[m] " * 200,
        "rank ",
        "tensor ",
        "output ",
        ".5e9",
    ),
)


def text_changed(text: str, rng: Random) -> str:
    made = text
    for _ in range(rng.choice(CHANGES)):
        at, kind = rng.randrange(len(made) + 1), rng.random()
        end = min(len(made), at + rng.choice((1, 1, 2, 5, 20, 200)))
        if kind < 0.5:
            made = made[:at] + rng.choice(TOKENS) + made[end if kind < 0.2 else at :]
        elif kind < 0.7:
            made = made[:at] + made[end:]
        elif kind < 0.85:
            made = made[:at] + made[at:end] * rng.choice((2, 3, 50)) + made[end:]
        elif kind < 0.95:
            made = made[:at] + str(odd(rng)) + made[end:]
        else:
            made = made[:at]
    return made[:400_000]


def bytes_changed(data: bytes, rng: Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice(CHANGES)):
        at, kind = rng.randrange(len(made) + 1), rng.random()
        if kind < 0.4 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            del made[at : at + rng.choice((1, 4, 64, 10**6))]
        elif kind < 0.8:
            made[at:at] = rng.randbytes(rng.choice((1, 4, 64)))
        elif at + 4 <= len(made):
            made[at : at + 4] = rng.choice(
                (b"\xff" * 4, b"\0" * 4, b"\x01\0\0\0", b"\xff\xff\xff\x7f")
            )
    return bytes(made)


def written(path: Path, text: str, rng: Random) -> Path:
    """A text as a file: mostly UTF-8, sometimes with what editors of other systems make of it."""
    kind = rng.random()
    if kind < 0.9:
        data = text.encode("utf-8", "surrogatepass")
    elif kind < 0.93:
        data = text.encode("utf-16", "surrogatepass")
    elif kind < 0.95:
        data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode("utf-8", "surrogatepass")
    else:
        data = bytes_changed(text.encode("utf-8", "surrogatepass"), rng)
    path.write_bytes(data)
    return path


def broken_path(folder: Path, rng: Random, ending: str) -> Path:
    """A path that is no readable file."""
    loop, empty, sub = folder / f"loop{ending}", folder / f"empty{ending}", folder / f"sub{ending}"
    if not loop.is_symlink():
        loop.symlink_to(loop)
        empty.write_bytes(b"")
        sub.mkdir(exist_ok=True)
    return rng.choice((loop, empty, sub, folder / f"absent{ending}", folder / ("x" * 300 + ending)))


# Entrances: each makes a case, an input to show and a call


@dataclass
class Case:
    """What is put in, as it is reported, and the call that answers it."""

    shown: Any
    call: Callable[[], Any]


CASES: tuple[Mapping[str, Any], ...] = (
    {"workload": "gemm", "M": 64, "N": 4096, "K": 128, "dtype": "bf16", "bias": True, "on": "h200"},
    {"workload": "gemm", "M": 64, "N": 4096, "K": 128, "dtype": "fp8", "on": "b200", "batch": 2},
    {"workload": "attention", "batch": 1, "heads": 32, "kv_heads": 8, "queries": 64, "keys": 128}
    | {"head_dim": 128, "causal": True, "on": "h200", "kernel": "flash-attention-2"},
    {"workload": "softmax", "rows": 64, "cols": 4096, "on": "h200", "kernel": "triton"},
    {"workload": "moe", "tokens": 64, "experts": 8, "top_k": 2, "hidden": 512, "intermediate": 1024}
    | {"routing": "zipf", "exponent": 1.1, "on": "h100"},
    {"workload": "collective", "op": "all_reduce", "bytes": "1 GiB", "ranks": 8, "on": "h200"},
    {"workload": "llm", "config": "llama-3.1-8b", "phase": "decode", "batch": 1, "context": 64}
    | {"on": "h200", "tp": 2, "weight_dtype": "fp8", "ignore_keys": ["x"]},
    {
        "workload": "cnn",
        "network": "mobilenetv2",
        "resolution": 96,
        "width": 0.35,
        "on": "stm32h743",
    },
    {"workload": "conv2d", "batch": 1, "channels": 8, "height": 14, "width": 14, "filters": 8}
    | {"kernel": 3, "on": "h200"},
)
EINSUMS = (
    ("Z[m, n] = A[m, k] * B[k, n]", {"m": 64, "n": 32, "k": 16}),
    ("rank m = m1 x m0\nQK[h, m1, m0, p] = Q[h, p] * K[h, m1, m0] / sqrt(H) | m <= p + M - P\n"
     "LM[h, m1, p] = max(m0) QK[h, m1, m0, p]", {"h": 2, "m1": 4, "m0": 16, "p": 64}),
    ("rank p = 1024, e = 2 * HALF\nrank t(x) ~ uniform(tokens, top_k)\ntensor K[e, p]: fp8 cache\n"
     "S[p, t, x] = exp(K[e, p] * W[x, e]) | 0 <= p - e < 128 ~ 0.25 ? 0.1",
     {"half": 8, "x": 8, "tokens": 64, "top_k": 2}),
    ("RM[h, m1+1, p] = max(RM[h, m1, p], L[h, m1, p]) ; RM[h, 0, p] = -inf",
     {"h": 2, "m1": 4, "p": 8}),
    ("O[c, y] = sum(r) I[c, 2*y+r] * F[r]\ntensor I[c, i]", {"c": 2, "y": 8, "r": 3, "i": 17}),
)  # fmt: skip
STUDY: Mapping[str, Any] = {
    "case": {"workload": "gemm", "K": 4096, "on": "h200"},
    "axes": {
        "M": {"log": [1, 64], "points": 3},
        "N": [16, 32],
        "dtype": ["bf16", "fp8"],
        "on.hbm.bandwidth": {"linear": ["2 TB/s", "4 TB/s"], "points": 2},
    },
    "where": ["M * N < 1e6", "time_s > 0"],
    "keep": ["time_s", "energy_j"],
    "seed": 1,
    "chunk": 1000,
}
STUDY_TEXT = """case: {workload: gemm, K: 4096, on: h200}
axes:
  M: {log: [1, 64], points: 3}
  N: [16, 32]
  dtype: [bf16, fp8]
  on.hbm.bandwidth: {linear: [2 TB/s, 4 TB/s], points: 2}
where: [M * N < 1e6, time_s > 0]
keep: [time_s, energy_j]
seed: 1
chunk: 1000
"""
TOPOLOGY = """name: two-boxes
generate: cluster
with: {nodes: 2, devices_per_node: 2, link: {bandwidth: 450 GB/s, message: 1.9 us},
       nic: {bandwidth: 400 Gb/s, latency: 5 us}}
"""
COMMANDS = (
    "predict gemm M=64 N=64 K=64 --on h200 --json",
    "predict llama-3.1-8b --on h200 --context 64 --batch 2 --tp 2",
    "predict cnn network=mobilenetv2 resolution=96 width=0.35 --on stm32h743",
    "bound gemm M=64 N=64 K=64 --on h200",
    "bound --einsum Z[m,n]=A[m,k]*B[k,n] --ranks m=8,n=8,k=8 --memory buffer=1KiB",
    "map --einsum Z[m,n]=A[m,k]*B[k,n] --ranks m=8,n=8,k=8 --memory buffer=1KiB --dtype int8",
    "compare gemm M=64 N=64 K=64 --on h200 --on b200",
    "explain gemm M=64 N=64 K=64 --on h200",
    "devices h200",
    "energy --node 7",
    "split mobilenetv2 --on raspberry-pi-4 --server h200 --rate 2MB/s",
    "patches mobilenetv2 resolution=96 width=0.35 --on stm32h743",
)


@dataclass
class Fuzz:
    """Seeds and a folder to write in."""

    folder: Path
    network: Path | None = None
    cache: dict[str, Any] = field(default_factory=dict)

    def cases(self, rng: Random) -> Case:
        from hwmodel.verbs.cases import INTERNAL, predict_lines

        lines = [as_json(rng.choice(CASES)) for _ in range(3)]
        for place in rng.sample(range(3), rng.randrange(1, 3)):
            tree = changed(dict(rng.choice(CASES)), rng)
            text = as_json(tree)
            lines[place] = text if rng.random() < 0.8 else text_changed(text, rng)
        whole = [place for place, line in enumerate(lines) if line in self.answered()]

        def call() -> None:
            answers = predict_lines(lines)
            if len(answers) != len(lines):
                raise AssertionError("a line was lost")
            for place, answer in enumerate(answers):
                if not answer or INTERNAL in answer.get("error", ""):
                    raise AssertionError(f"{answer.get('error', 'no answer')}: {lines[place]}")
                json.dumps(answer, allow_nan=False)
            for place in whole:
                if "error" in answers[place]:
                    raise AssertionError(
                        f"lost by its neighbours: {lines[place]}: {answers[place]}"
                    )

        return Case(lines, call)

    def answered(self) -> frozenset[str]:
        """Seed cases that the package answers when they stand alone."""
        if "answered" not in self.cache:
            from hwmodel.verbs.cases import predict_lines

            lines = [as_json(case) for case in CASES]
            found = zip(lines, predict_lines(lines), strict=True)
            self.cache["answered"] = frozenset(x for x, answer in found if "error" not in answer)
        return self.cache["answered"]

    def notation(self, rng: Random) -> Case:
        text, sizes = rng.choice(EINSUMS)
        given: Any = dict(sizes)
        dtypes: Any = {"*": "bf16"}
        if rng.random() < 0.7:
            text = text_changed(text, rng)
        if rng.random() < 0.5:
            given = changed(given, rng, PYTHON_ODD)
        if rng.random() < 0.2:
            dtypes = changed(dtypes, rng, PYTHON_ODD)

        def call() -> None:
            from hwmodel.einsum.notation import parse
            from hwmodel.machines.driver import predict
            from hwmodel.verbs.bound import bound

            made = parse(text, sizes=given, dtypes=dtypes)
            for verb, machine in ((predict, "h200"), (bound, "peer-a2")):
                try:
                    str(verb(made, machine))
                except HwmodelError:
                    continue

        return Case((text, given, dtypes), call)

    def config(self, rng: Random) -> Case:
        if "configs" not in self.cache:
            from hwmodel.einsum.workloads.config import SHIPPED

            paths = sorted(SHIPPED.glob("*.json"))
            self.cache["configs"] = [json.loads(path.read_text("utf-8")) for path in paths]
        tree = changed(rng.choice(self.cache["configs"]), rng)
        text = as_json(tree) if rng.random() < 0.8 else text_changed(as_json(tree), rng)
        path = written(self.folder / "config.json", text, rng)
        source: Any = tree if rng.random() < 0.2 else path
        if rng.random() < 0.03:
            source = broken_path(self.folder, rng, ".json")

        def call() -> None:
            from hwmodel.einsum.workloads.model import model

            read = model(source)
            str(read), read.parameters, read.weight_bytes
            read.decode(2, 64)

        return Case(text, call)

    def device(self, rng: Random) -> Case:
        if "devices" not in self.cache:
            from hwmodel.hardware.catalogue import CATALOGUE

            names = ("h200", "a100", "fusemax", "stm32h743", "peer-a2", "cortex-a76")
            found = [CATALOGUE / f"{name}.yaml" for name in names]
            texts = [path.read_text("utf-8") for path in found if path.is_file()]
            self.cache["devices"] = [(text, yaml.safe_load(text)) for text in texts]
        text, tree = rng.choice(self.cache["devices"])
        if rng.random() < 0.6:
            text = as_json(changed(tree, rng))
        else:
            text = text_changed(text, rng)
        path = written(self.folder / "device.yaml", text, rng)
        given: Any = broken_path(self.folder, rng, ".yaml") if rng.random() < 0.03 else path

        def call() -> None:
            from hwmodel.hardware.catalogue import device
            from hwmodel.machines.driver import predict

            machine = device(given)
            told = str(predict(self.gemm(), machine))
            if "\x1b" in told:
                raise AssertionError("an escape sequence in str()")

        return Case(text, call)

    def gemm(self) -> Any:
        from hwmodel.einsum.workloads.gemm import gemm

        return gemm(M=64, N=64, K=64)

    def study(self, rng: Random) -> Case:
        text = text_changed(STUDY_TEXT, rng)
        if rng.random() < 0.6:
            text = as_json(changed(dict(STUDY), rng))
        path = written(self.folder / "study.yaml", text, rng)

        def call() -> None:
            from hwmodel.sweeps.run import run
            from hwmodel.verbs.study import study

            plan = study(path)
            if plan.grid.blocks * plan.grid.rows <= 2_000:
                str(run(plan, progress=False))

        return Case(text, call)

    def topology(self, rng: Random) -> Case:
        text = text_changed(TOPOLOGY, rng)
        if rng.random() < 0.6:
            text = as_json(changed(yaml.safe_load(TOPOLOGY), rng))
        path = written(self.folder / f"topology{rng.choice(('.yaml', '.json'))}", text, rng)

        def call() -> None:
            from hwmodel.network.topologies import topology
            from hwmodel.verbs.collective import collective

            str(collective("all_reduce", 1e6, 4, "h200", topology=topology(path)))

        return Case(text, call)

    def routing(self, rng: Random) -> Case:
        if "routing" not in self.cache:
            self.cache["routing"] = routing_seeds()
        ending, data = rng.choice(self.cache["routing"])
        if ending == ".csv" and rng.random() < 0.7:
            data = text_changed(data.decode(), rng).encode("utf-8", "surrogatepass")
        elif rng.random() < 0.9:
            data = bytes_changed(data, rng)
        path = self.folder / f"routing{ending}"
        path.write_bytes(data)
        options = changed({"kind": None, "experts": None, "domains": []}, rng, PYTHON_ODD)

        def call() -> None:
            from hwmodel.experts.traces import read_routing

            known = {n: v for n, v in options.items() if n in ("kind", "experts", "domains")}
            read_routing(path, **(known if rng.random() < 0.3 else {}))

        return Case((ending, data[:2000]), call)

    def placement(self, rng: Random) -> Case:
        tree = {"devices": 2, "layers": {"0": [0, 1, 0, 1], "1": [1, 0, 1, 0]}}
        text = as_json(changed(tree, rng))
        path = written(self.folder / "placement.json", text, rng)

        def call() -> None:
            from hwmodel.experts.placement import read_placement

            read_placement(path)

        return Case(text, call)

    def place(self, rng: Random) -> Case:
        if "placed" not in self.cache:
            from hwmodel.experts.statistics import from_traces, planted

            trace = planted(layers=2, experts=8, group=4, share=0.8, tokens=64, seed=1)
            self.cache["placed"] = from_traces([trace])
        options: Any = {"devices": 2, "nodes": 1, "objective": "crossings", "slack": 0, "gap": 0.0}
        options |= {"token_bytes": 4096, "tokens": 64, "choices": 1, "token_s": 0.0, "seed": 0}
        options |= {"slots": None, "pinned": None, "forbidden": None, "memory": None}
        given = changed(options, rng, PYTHON_ODD)
        given = {str(name): value for name, value in given.items()} if given else {}
        given["time_limit_s"] = 0.05

        def call() -> None:
            from hwmodel.verbs.place import place

            str(place(self.cache["placed"], **given))

        return Case(given, call)

    def tflite(self, rng: Random) -> Case:
        data = b"\x1c\0\0\0TFL3" + rng.randbytes(rng.choice((0, 8, 200)))
        if self.network is not None:
            if "network" not in self.cache:
                self.cache["network"] = self.network.read_bytes()
            data = bytes_changed(self.cache["network"], rng)
        path = self.folder / "network.tflite"
        path.write_bytes(data)

        def call() -> None:
            from hwmodel.einsum.workloads.cnn import cnn

            cnn(str(path))

        return Case(f"{len(data)} bytes", call)

    def folder_of_sweep(self, rng: Random) -> Case:
        from hwmodel.sweeps.axes import each
        from hwmodel.sweeps.run import sweep

        seed = self.folder / "swept"
        axes = {"x": np.arange(50.0), "y": each([1.0, 2.0])}

        def function(x: Any, y: Any) -> Any:
            return {"z": x * y}

        if not seed.is_dir():
            sweep(function, axes, chunk=20, out=seed, progress=False)
        made = self.folder / "again"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(seed, made)
        files = sorted(made.iterdir())
        touched = rng.choice(files)
        kind = rng.random()
        if kind < 0.15:
            touched.unlink()
        elif kind < 0.3:
            touched.write_bytes(b"")
        elif kind < 0.4:
            touched.write_bytes(rng.choice(files).read_bytes())
        elif kind < 0.5:
            (made / f".{touched.name}.0.tmp").write_bytes(b"x")
        elif touched.suffix == ".parquet" or kind < 0.6:
            touched.write_bytes(bytes_changed(touched.read_bytes(), rng))
        elif touched.suffix == ".json":
            touched.write_text(as_json(changed(json.loads(touched.read_text()), rng)))
        else:
            touched.write_bytes(text_changed(touched.read_text(), rng).encode("utf-8", "replace"))

        def call() -> None:
            from hwmodel.sweeps.files import open_sweep

            for read in (
                lambda: open_sweep(made),
                lambda: sweep(function, axes, chunk=20, out=made, progress=False),
            ):
                try:
                    found = read()
                except HwmodelError:
                    continue
                table = found.table if found.parts else None
                if table is not None and found.complete:
                    wrong = table["z"] != table["x"] * table["y"]
                    if len(table) != 100 or bool(wrong.any()):
                        raise AssertionError("wrong rows from a damaged folder")

        return Case((touched.name, kind), call)

    def command(self, rng: Random) -> Case:
        words = rng.choice(COMMANDS).split()
        for _ in range(rng.randrange(1, 4)):
            at, kind = rng.randrange(len(words)), rng.random()
            if kind < 0.4:
                words[at] = str(odd(rng))[:5000]
            elif kind < 0.5:
                del words[at]
            elif kind < 0.75 and "=" in words[at]:
                words[at] = f"{words[at].partition('=')[0]}={str(odd(rng))[:5000]}"
            elif kind < 0.85:
                words[at] = text_changed(words[at], rng)[:5000]
            else:
                words.insert(at, rng.choice(("--json", "--on", "--kernel", "-1", "--tp", "h200")))
            if not words:
                break
        words = [word.replace("\0", "") for word in words]
        if any(word in ("calibrate", "papers", "validate", "--out", "--picture") for word in words):
            words = ["devices"]

        def call() -> None:
            status, told = commanded(words)
            if status not in (0, 2, 3):
                raise AssertionError(f"exit status {status}: {told[-2000:]}")

        return Case(words, call)

    def face(self, rng: Random) -> Case:
        name, seed = rng.choice(FACE)
        given = changed(seed, rng, PYTHON_ODD)
        given = {str(key): value for key, value in given.items()} if isinstance(given, dict) else {}
        known = {key: value for key, value in given.items() if key in seed}

        def call() -> None:
            str(called(name, known))

        return Case((name, known), call)

    def quantity(self, rng: Random) -> Case:
        from hwmodel.quantity.units import DIMENSIONS

        dimension = rng.choice((*DIMENSIONS, None))
        value = text_changed(rng.choice(("4.8 TB/s", "16 MiB", "1e-3 s", "5")), rng)
        given = value if rng.random() < 0.5 else odd(rng, PYTHON_ODD)
        options = {"zero": rng.random() < 0.5, "whole": rng.random() < 0.5}

        def call() -> None:
            from hwmodel.quantity.units import amount

            amount(given, dimension, **options)

        return Case((given, dimension, options), call)


FACE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("workloads.gemm", {"M": 64, "N": 64, "K": 64, "batch": 1, "dtype": "bf16", "bias": False}),
    ("workloads.attention", {"batch": 1, "heads": 8, "kv_heads": 2, "queries": 64, "keys": 64}
     | {"head_dim": 128, "causal": True, "window": None, "dtype": "bf16"}),
    ("workloads.moe", {"tokens": 64, "experts": 8, "top_k": 2, "hidden": 64, "intermediate": 64}
     | {"routing": "zipf", "exponent": 1.2}),
    ("workloads.softmax", {"rows": 64, "cols": 64, "dtype": "bf16"}),
    ("workloads.fft", {"batch": 1, "n": 64}),
    ("workloads.kmeans", {"points": 64, "clusters": 8, "features": 4}),
    ("workloads.conv2d", {"batch": 1, "channels": 8, "height": 14, "width": 14, "filters": 8}),
    ("workloads.mlp", {"tokens": 64, "hidden": 64, "intermediate": 64}),
    ("predict", {"workload": None, "on": "h200", "kernel": None, "parallel": None}),
    ("bound", {"workload": None, "on": "h200", "kernel": None}),
    ("compare", {"workload": None, "on": ["h200", "b200"], "kernel": None, "parallel": None}),
    ("map", {"cascade": None, "on": "peer-a2", "objective": "traffic", "mapspace": None}
     | {"rules": None, "double": False, "shares": None, "fused": True, "kernel": None}),
    ("collective", {"op": "all_reduce", "size_bytes": 1e6, "ranks": 8, "on": "h200"}
     | {"topology": None}),
    ("linspace", {"first": 1, "last": 8, "points": 4}),
    ("logspace", {"first": 1, "last": 8, "points": 4, "whole": True}),
    ("device", {"name_or_path": "h200"}),
    ("model", {"config": "llama-3.1-8b", "dtype": None, "weight_dtype": "fp8", "ignore_keys": []}),
    ("model.decode", {"batch": 1, "context": 64, "tp": 1, "routing": "uniform", "exponent": None}),
    ("but", {"hbm": {"bandwidth": "9.6 TB/s"}, "processors": {"count": 12}, "clock": "1 GHz"}),
    ("times", {"devices": 2}),
    ("sensitivity", {"workload": None, "on": "h200", "swing": 0.2}),
    ("sweep", {"M": [1, 2, 3], "N": [16, 32], "where": [], "samples": None, "seed": 0, "chunk": 9}),
    ("open_sweep", {"folder": "absent"}),
)  # fmt: skip
"""Public functions, with arguments that are right; `workload` and `cascade` None is a product."""


def called(name: str, given: dict[str, Any]) -> Any:
    """A public function's answer."""
    import hwmodel as hw
    from hwmodel.einsum.workloads.gemm import gemm

    for key in ("workload", "cascade"):
        if key in given and given[key] is None:
            given = {**given, key: gemm(M=64, N=64, K=64)}
    if name == "but":
        return hw.device("h200").but(**given)
    if name == "times":
        return hw.device("h200") * given.get("devices", 2)
    if name == "model.decode":
        return hw.predict(
            hw.model("llama-3.1-8b").decode(**{"batch": 1, "context": 4} | given), "h200"
        )
    if name == "sweep":
        given = {"M": [1], "N": [1]} | given
        samples = given.get("samples")
        if isinstance(samples, (int, float)) and 10**6 < samples <= 10**8:
            given["samples"] = 100  # honest, and long
        return hw.sweep(timed, **given, progress=False)
    if name.startswith("workloads."):
        from hwmodel.einsum.workloads.catalogue import workload

        return hw.predict(workload(name.partition(".")[2], **given), "h200")
    needed = {
        n: v for n, v in dict(FACE)[name].items() if v is not None or n in ("workload", "cascade")
    }
    for key, value in needed.items():
        given.setdefault(key, gemm(M=64, N=64, K=64) if value is None else value)
    return getattr(hw, name)(**given)


def timed(M: Any, N: Any) -> dict[str, Any]:
    """A function of a sweep that takes anything."""
    return {"t": np.ones(len(M) if isinstance(M, np.ndarray) else 1)}


def commanded(words: list[str]) -> tuple[int, str]:
    """Exit status and output of the command line, in this process."""
    from hwmodel.cli import main

    out, before = io.StringIO(), sys.argv
    sys.argv = ["hwmodel", *words]
    status = 0
    try:
        with redirect_stdout(out), redirect_stderr(out):
            main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv = before
    return status, out.getvalue()


def routing_seeds() -> list[tuple[str, bytes]]:
    """Small files of each kind that a routing is read from."""
    import polars

    rng = np.random.default_rng(0)
    experts = rng.integers(0, 8, (16, 3, 2))
    packed, plain, table = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, experts=experts)
    np.savez(plain, experts=experts[:, :, 0])
    token, layer = np.repeat(np.arange(16), 3), np.tile(np.arange(3), 16)
    frame = polars.DataFrame({"token": token, "layer": layer, "expert": experts[:, :, 0].ravel()})
    counts = polars.DataFrame(
        {"layer_from": [0, 0, 1], "layer_to": [1, 1, 2], "expert_from": [0, 1, 2]}
        | {"expert_to": [1, 2, 3], "count": [5, 6, 7], "domain": ["a", "a", "b"]}
    )
    frame.write_parquet(table)
    return [
        *((".npz", packed.getvalue()), (".npz", plain.getvalue()), (".parquet", table.getvalue())),
        *((".csv", frame.write_csv().encode()), (".csv", counts.write_csv().encode())),
    ]


SHARES = {
    **{"cases": 10, "notation": 20, "config": 8, "device": 4, "study": 8, "topology": 8},
    **{"routing": 10, "placement": 6, "place": 3, "tflite": 6, "folder_of_sweep": 4, "command": 4},
    **{"face": 14, "quantity": 10},
}
"""Entrance -> its share of the cases."""
ENTRANCES = tuple(SHARES)


@dataclass(frozen=True)
class Fault:
    """What went wrong, where, and by which input."""

    entrance: str
    number: int
    what: str
    where: str
    shown: str
    trace: str


def one(fuzz: Fuzz, entrance: str, seed: int, number: int, seconds: float) -> Fault | bool:
    """A fault, or whether the input was refused."""
    rng = random.Random(f"{seed} {entrance} {number}")
    case = getattr(fuzz, entrance)(rng)
    try:
        with limited(seconds):
            case.call()
    except HwmodelError as error:
        told = str(error)
        if error.exit_status != 1 and told and not any(c in told for c in "\x1b\r\0"):
            return True
        found: BaseException = error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found = error
    else:
        return False
    frames = [f for f in traceback.extract_tb(found.__traceback__) if "hwmodel" in f.filename]
    frames = frames or traceback.extract_tb(found.__traceback__)
    last = frames[-1]
    where = f"{Path(last.filename).name}:{last.lineno} {last.name}"
    what = f"{type(found).__name__}: {shown(str(found), 500)}"
    trace = "".join(traceback.format_exception(found))
    return Fault(entrance, number, what, where, shown(case.shown, 3000), trace)


def fuzzed(
    cases: int,
    seed: int = 0,
    entrances: tuple[str, ...] = ENTRANCES,
    *,
    seconds: float = SECONDS,
    network: Path | None = None,
    tell: Callable[[Fault], None] = lambda fault: None,
) -> tuple[list[Fault], dict[str, Counter[str]]]:
    """Faults of so many cases; by entrance how many were answered and refused, and how long."""
    faults: list[Fault] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in entrances}
    weight = sum(SHARES[name] for name in entrances)
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), network)
        for name in entrances:
            for number in range(max(1, round(cases * SHARES[name] / weight))):
                begin = time.perf_counter()
                found = one(fuzz, name, seed, number, seconds)
                took = time.perf_counter() - begin
                kind = {True: "refused", False: "answered"}.get(found, "faults")  # pyright: ignore
                counts[name][kind] += 1
                counts[name]["ms"] += round(1e3 * took)
                counts[name]["slowest ms"] = max(counts[name]["slowest ms"], round(1e3 * took))
                if isinstance(found, Fault):
                    faults.append(found)
                    tell(found)
    return faults, counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--entrance", action="append", choices=ENTRANCES)
    parser.add_argument("--only", type=int, help="this case of one entrance")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB beyond what is mapped now")
    parser.add_argument("--network", type=Path, help="a .tflite file to mutate")
    asked = parser.parse_args()
    import hwmodel.sweeps.run  # what is loaded late maps its memory before the limit counts

    assert hwmodel.sweeps.run
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    most = mapped + int(asked.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    entrances = tuple(asked.entrance or ENTRANCES)
    if asked.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            fuzz = Fuzz(Path(folder), asked.network)
            found = one(fuzz, entrances[0], asked.seed, asked.only, SECONDS)
            print(f"{found.shown}\n{found.trace}" if isinstance(found, Fault) else found)
        return
    begin = time.perf_counter()
    seen: set[tuple[str, str]] = set()

    def tell(fault: Fault) -> None:
        key = (fault.what.split(":")[0], fault.where)
        if key not in seen:
            print(f"{fault.entrance} --only {fault.number}: {fault.what}")
            print(f"  at {fault.where}\n  of {fault.shown[:600]}\n", flush=True)
        seen.add(key)

    faults, counts = fuzzed(asked.cases, asked.seed, entrances, network=asked.network, tell=tell)
    columns = ("answered", "refused", "faults", "ms", "slowest ms")
    print(f"{'entrance':<18}" + "".join(f"{name:>12}" for name in columns))
    for name, count in counts.items():
        print(f"{name:<18}" + "".join(f"{count[column]:>12,}" for column in columns))
    total = sum(count[kind] for count in counts.values() for kind in columns[:3])
    seconds = time.perf_counter() - begin
    print(f"\n{total:,} cases in {seconds:.0f} s, seed {asked.seed}; {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
