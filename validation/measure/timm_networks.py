"""Networks of timm in shorthand: what each computes on an image, a word a kernel.

    python -m hwmodel.validation.measure.timm_networks [NAME ...] >> einsum/.../networks/timm.txt

Needs torch and timm (1.0.9 wrote the file). A network whose words (`meta_words.py`) are the same at
two sides holds at any; one with a call that has no word is left out, with the reason on the
standard error. Norms are timm's fast ones (`set_fast_norm`), as its throughputs have.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache
from itertools import groupby
from typing import Any

import timm
import timm.layers.norm
import timm.layers.norm_act
import torch
from timm.models._registry import _model_default_cfgs as DEFAULTS

from hwmodel.validation.measure.meta_words import IMAGES, Recorder, inside


def folded(words: list[str]) -> str:
    """The shortest text: the repeat that saves most, then what is before, in and after it."""
    best = (0, 0, 0, 1)
    for length in range(1, len(words) // 2 + 1):
        same = [a == b for a, b in zip(words, words[length:], strict=False)]
        at = 0
        for alike, group in groupby(same):
            run = sum(1 for _ in group)
            if alike and run >= length:
                times = run // length
                saved = times * sum(len(word) + 1 for word in words[at : at + length]) - 5
                best = (saved, at, length, times + 1) if saved > best[0] else best
            at += run
    _, at, length, times = best
    if times == 1:
        return " ".join(words)
    end = at + length * times
    inside = f"({folded(words[at : at + length])})*{times}"
    parts = (folded(words[:at]), inside, folded(words[end:]))
    return " ".join(part for part in parts if part)


def words_of(model: Any, side: int, classes: int) -> list[str]:
    """What a network computes at a side."""
    image = torch.empty(IMAGES, 3, side, side, device="meta")
    recorder = Recorder(image)
    with torch.no_grad(), recorder:
        model(image)
    *words, last = recorder.words
    bias = "b" * last.endswith("b")
    return [*words, f"dense{classes}{bias}" if last.startswith("dense") and classes else last]


@lru_cache(maxsize=4)
def model_of(name: str, **sizes: int) -> Any:
    """A network without weights; made of numbers first where its making reads some."""
    try:
        with torch.device("meta"):
            return timm.create_model(name, pretrained=False, **sizes).eval()
    except (NotImplementedError, TypeError):
        return timm.create_model(name, pretrained=False, **sizes).eval().to("meta")


def lines(name: str) -> Iterator[str]:
    """A line a side of a network, or one for any; those of all its published weights are tried."""
    published = DEFAULTS[name].cfgs
    own = next(iter(published.values()))
    found: dict[int, list[str]] = {}
    for tag, config in published.items():
        full = f"{name}.{tag}" if tag and config.fixed_input_size else name
        tests = config.test_input_size if not config.fixed_input_size else None
        for size in (config.input_size, tests):
            if size and size[-1] not in found:
                try:
                    made = words_of(model_of(full), size[-1], own.num_classes)
                except (AssertionError, RuntimeError):  # its image has one side: ask for that
                    sized = model_of(full, img_size=size[-1])
                    made = words_of(sized, size[-1], own.num_classes)
                found[size[-1]] = made
    if len(found) == 1:
        (side,) = found
        try:
            found[side + 64] = words_of(model_of(name), side + 64, own.num_classes)
        except (AssertionError, RuntimeError):
            pass
    alike = len({tuple(words) for words in found.values()}) == 1
    sides_known = ["any"] if alike and len(found) > 1 else sorted(map(str, found))
    for side in sides_known:
        words = next(iter(found.values())) if side == "any" else found[int(side)]
        yield f"{name} {own.input_size[-1]} {side} {folded(words)}"


def prepared() -> None:
    """Timm on meta tensors: fast norms are told, attention is one call, numbers are the host's."""

    def told(function: Any, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            inside[name] = True
            try:
                return function(*args, **kwargs)
            finally:
                inside[name] = False

        return call

    functions = torch.nn.functional
    functions.linear = told(functions.linear, "linear")
    linspace = torch.linspace
    torch.linspace = lambda *args, **kwargs: linspace(*args, **{"device": "cpu", **kwargs})
    torch.autocast = lambda *_, **__: nullcontext()  # which meta tensors have none of
    timm.layers.set_fast_norm(True)
    for module in (timm.layers.norm, timm.layers.norm_act):
        for name in ("fast_group_norm", "fast_layer_norm", "fast_rms_norm"):
            if hasattr(module, name):
                setattr(module, name, told(getattr(module, name), "fast"))
    functions.scaled_dot_product_attention = lambda q, k, v, *_, **__: torch.ops.hwmodel.attention(
        q, k, v
    )


def main() -> None:
    """Prints lines of the networks that are named, or of all."""
    prepared()
    for name in sys.argv[1:] or timm.list_models():
        try:
            for line in lines(name):
                print(line, flush=True)
        except Exception as error:  # of timm: the others shall be made
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
