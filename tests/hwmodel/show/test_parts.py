"""One kernel of a prediction shows itself briefly, and its times and counts when printed."""

import hwmodel as hw

STEP = hw.model("llama-3.2-1b").decode(batch=2, context=99)
PART = next(p for p in hw.predict(STEP, "h200").parts if p.name == "attention")


def test_a_kernel_is_told_in_one_line() -> None:
    shown = repr(PART)
    assert shown.startswith("<Part: attention (decode:flash-attention-2): 16 runs of ")
    assert "\n" not in shown
    assert len(shown) < 120


def test_its_text_has_what_binds_first_and_no_line_of_nothing() -> None:
    _, busy, counts = str(PART).split("\n\n")
    first = busy.splitlines()[2].split()[0]
    assert first == PART.bottleneck
    assert f"dram read {PART.counts.read['dram'] / 1e3:.3g} kB" in " ".join(counts.split())
    assert not any(line.split()[-2:-1] == ["0"] for line in busy.splitlines()[2:])


def test_its_cells_are_the_same() -> None:
    shown: str = getattr(PART, "_repr_html_")()  # noqa: B009
    assert shown.count("<table") == 2
    assert "runs of" in shown
