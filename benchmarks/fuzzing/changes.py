"""Changes at random: of values and tables by their grammar, of text and bytes, of paths."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Random: TypeAlias = random.Random

Random: TypeAlias = random.Random

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
