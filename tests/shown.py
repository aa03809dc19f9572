"""Text that a page shows, against what was printed: the same words, and numbers near each other.

A page is written once, and a calibration moves a digit every week; so numbers may differ by
`NEARNESS`. Digits that stand inside a word (h200, bf16) are part of the word.
"""

import re

NEARNESS = 0.15

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")


def parts(line: str) -> tuple[list[str], list[float]]:
    """Words of a line without its numbers, and the numbers; spaces and rules do not count."""
    numbers = [float(text.replace(",", "")) for text in NUMBER.findall(line)]
    return NUMBER.sub(" # ", line.replace("─", "")).split(), numbers


def agree(shown: str, printed: str) -> bool:
    """Whether two lines say the same."""
    (words, numbers), (others, found) = parts(shown), parts(printed)
    return words == others and all(
        abs(a - b) <= NEARNESS * max(abs(a), abs(b)) for a, b in zip(numbers, found, strict=True)
    )


def missing(shown: str, printed: str) -> list[str]:
    """Lines that are shown and that nothing printed agrees with; '...' stands for any lines."""
    lines = [line for line in printed.splitlines() if line.strip()]
    return [
        line
        for line in shown.splitlines()
        if parts(line)[0] and line.strip() != "..." and not any(agree(line, each) for each in lines)
    ]
