"""Streams of requests for people: what is asked, what each waits, and what it costs."""

from hwmodel.einsum.workloads.serving_stream import Serving
from hwmodel.quantity.units import show
from hwmodel.systems.serving.served import TAILS, WAITS, Served
from hwmodel.text.grid import grid
from hwmodel.text.markup import Table, answer_html

CALLED = {
    "latency": "latency",
    "ttft": "first token (TTFT)",
    "tpot": "a further token (TPOT)",
    "queue": "until scheduled",
}
"""What is waited for -> for people."""


HEADS = ("seconds", "mean", "90 %", *(f"p{tail}" for tail in TAILS)), ("a stream", "")
"""Of the table of waits, and of what the stream took."""


def served_text(answer: Served) -> str:
    """The stream in one line, what requests waited, and what it took."""
    tables = [grid(heads, rows, left=(0,)) for heads, rows in _tables(answer)]
    told = "\n".join(f"  - {text}" for text in _notes(answer))
    return "\n\n".join([_finding(answer), *tables, *([told] if told else [])])


def served_html(answer: Served) -> str:
    """The same for a notebook."""
    return answer_html(_finding(answer), _tables(answer), _notes(answer))


def _notes(answer: Served) -> list[str]:
    return [*answer.assumptions, *(f"warning: {text}" for text in answer.warnings)]


def _tables(answer: Served) -> list[Table]:
    """What requests waited, and what the stream took."""
    waits = [
        [
            CALLED[wait],
            show(getattr(answer, f"{wait}_s"), "s"),
            _interval(answer, wait),
            *(show(getattr(answer, f"{wait}_p{tail}_s"), "s") for tail in TAILS),
        ]
        for wait in WAITS
        if len(answer.waits[wait])
    ]
    price = answer.price_per_million_tokens
    rows = [
        ["requests", f"{len(answer.ran.stays):,} in {show(answer.duration_s, 's')}"],
        ["there at a time", f"{answer.concurrency:.1f}"],
        ["all tokens", f"{answer.total_tokens_per_s:,.0f} a second"],
        ["steps run", f"{answer.busy:.1%} of the time"],
        ["cache", f"{answer.kv_tokens:,} tokens, {answer.peak_kv_use:.1%} held at most"],
        ["prompts found in it", f"{answer.prefix_hit_rate:.1%}"],
        ["preemptions", f"{answer.preemptions:,}"],
        ["energy", f"{show(answer.energy_j_per_token, 'j')} a token"],
        *(
            [["power", f"{show(answer.power_w, 'w')} of {show(answer.provisioned_w, 'w')}"]]
            if answer.provisioned_w < float("inf")
            else []
        ),
        *(
            []
            if price is None
            else [["a million tokens", f"{price:.3g} USD ({answer.price_source})"]]
        ),
    ]
    return list(zip(HEADS, (waits, rows), strict=True))


def _interval(answer: Served, wait: str) -> str:
    """Both ends of a mean."""
    if f"{wait}_s" not in answer.intervals:
        return ""
    low, high = answer.intervals[f"{wait}_s"]
    return f"{show(low, 's')} to {show(high, 's')}"


def _finding(answer: Served) -> str:
    return (
        f"{answer.name} on {answer.devices} x {answer.device}:"
        f" {answer.output_tokens_per_s:,.0f} tokens/s, TTFT {show(answer.ttft_s, 's')}, TPOT"
        f" {show(answer.tpot_s, 's')}"
    )


def serving_text(work: Serving) -> str:
    """What comes, and how the model is divided."""
    comes = (
        f"{work.concurrency} clients"
        if work.concurrency is not None
        else f"{work.rate_per_s:g} requests a second ({work.arrivals})"
        if work.rate_per_s is not None
        else f"requests of {work.trace}"
    )
    sizes = "" if work.input is None else f", {work.input} tokens in, {work.output} out"
    how = ", ".join(f"{name}={value}" for name, value in work.parallel.items()) or "one device"
    return f"{work.name}: {comes}{sizes}\n\n{how}"


def serving_html(work: Serving) -> str:
    """The same for a notebook."""
    finding, how = serving_text(work).split("\n\n")
    return answer_html(finding, [], (how,))
