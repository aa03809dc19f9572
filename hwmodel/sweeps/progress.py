"""A progress bar of a sweep: points done, points a second, time left."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, cast

OFTEN_S = 0.1
"""Seconds between two looks of a bar in a notebook."""


@contextmanager
def progress_bar(
    points: int, done: int, *, show: bool | None, chunks: int
) -> Generator[Callable[[int], None], None, None]:
    """Draw a bar on standard error; the function given hears how many points more are done.

    `show` None: where there is a terminal or a notebook, and more than one chunk to do.
    """
    if show is False or (show is None and chunks < 2):
        yield lambda n: None
        return
    if in_notebook():
        yield in_cell(points, done)
        return
    from rich.console import Console  # only where a bar is drawn: rich costs 0.1 s to import
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        """Points a second, lately."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s")

    console = Console(stderr=True)
    if show is None and not console.is_terminal:
        yield lambda n: None
        return
    told = TextColumn("{task.completed:,.0f} of {task.total:,.0f} points")
    with Progress(told, BarColumn(), Rate(), TimeLeft(), console=console) as bar:
        task = bar.add_task("points", total=points, completed=done)
        yield lambda n: bar.update(task, advance=n)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this process."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    return getattr(shell, "kernel", None) is not None


def in_cell(points: int, done: int) -> Callable[[int], None]:
    """Draw a bar below a notebook's cell, no more than some ten times a second."""
    from IPython import display as cells  # pyright: ignore

    shown_by = cast(Any, cells)
    start, made, shown = monotonic(), done, -1.0

    def drawn() -> Any:
        spent = monotonic() - start
        rate = (made - done) / spent if spent else 0.0
        left = f", {(points - made) / rate:,.0f} s left" if rate and made < points else ""
        said = f"{made:,} of {points:,} points, {rate:,.0f}/s{left}"
        return shown_by.HTML(f'<progress value="{made}" max="{points}"></progress> {said}')

    cell = shown_by.display(drawn(), display_id=True)

    def advance(more: int) -> None:
        nonlocal made, shown
        made += more
        if made >= points or monotonic() - shown > OFTEN_S:
            shown = monotonic()
            cell.update(drawn())

    return advance
