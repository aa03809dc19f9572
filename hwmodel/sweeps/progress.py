"""A progress bar of a sweep: points done, points a second, time left."""

from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    points: int, done: int, *, show: bool | None, chunks: int
) -> Generator[Callable[[int], None], None, None]:
    """Draw a bar on standard error; the function given hears how many points more are done.

    `show` None: where there is a terminal, and more than one chunk to do.
    """
    if show is False or (show is None and chunks < 2):
        yield lambda n: None
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
