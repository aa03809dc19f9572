"""What verbs ask of any answer, be it of kernels in a row (`Estimate`) or of many runs in time.

Answers of workloads that say who answers them (`answered_by`: a step of training, say) are no lists
of kernels. They have these fields, and tell themselves what their time is due to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


class Answer(Protocol):
    """A workload's time and energy on a machine, as comparisons and what-ifs read them.

    Numbers are floats, or arrays over the points of a sweep.
    """

    @property
    def name(self) -> str:
        """What was asked about."""
        ...

    @property
    def device(self) -> str:
        """On what."""
        ...

    @property
    def time_s(self) -> Any:
        """Predicted seconds."""
        ...

    @property
    def time_low_s(self) -> Any:
        """Lower end of the 90 % interval; NaN where it is not known."""
        ...

    @property
    def time_high_s(self) -> Any:
        """Upper end of the 90 % interval; NaN where it is not known."""
        ...

    @property
    def bound_s(self) -> Any:
        """Seconds that nothing goes below."""
        ...

    @property
    def energy_j(self) -> Any:
        """Predicted joules, of all devices."""
        ...

    @property
    def bottleneck(self) -> Any:
        """What binds, in the words of `BOTTLENECKS`."""
        ...

    @property
    def busy_s(self) -> Mapping[str, Any]:
        """Seconds by resource."""
        ...

    @property
    def tokens_per_s(self) -> Any:
        """Of a model; None of other workloads."""
        ...

    @property
    def serving(self) -> Any:
        """Tokens and memory of a phase of a model, where it is one."""
        ...

    @property
    def stores(self) -> Sequence[Any]:
        """Memories that something does not fit, or does."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is told of it."""
        ...


@runtime_checkable
class Told(Answer, Protocol):
    """An answer that says itself, without kernels, what its time is due to."""

    @property
    def least_s(self) -> Mapping[str, float]:
        """Seconds by resource that nothing goes below; `bound_s` is the longest."""
        ...

    @property
    def reasons_s(self) -> Mapping[str, float]:
        """Seconds above `bound_s` by reason; they sum to the difference."""
        ...

    @property
    def sentences(self) -> tuple[str, ...]:
        """What else is worth a sentence."""
        ...
