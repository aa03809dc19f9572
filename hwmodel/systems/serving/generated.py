"""What a load generator's run against a server is taken to be where nothing more is said of it.

A run at a rate for so many seconds is one: its prompts are few and asked again and again, which the
prefix cache finds, and its client waits for a server besides the engine
(`hwmodel.einsum.workloads.serving_stream`, with where both numbers come from).
"""

from hwmodel.einsum.workloads.serving_stream import OVER_HTTP_S, Serving
from hwmodel.quantity.units import amount, show
from hwmodel.systems.serving.scheduler import Scheduler

ASSUMED = (
    "assumed: a load generator's run, since it lasts so many seconds: {}; say {} where that is not"
    " so"
)


def frontend_s(work: Serving) -> float:
    """Seconds of a server outside its engines, for each request."""
    if work.frontend is None:
        return OVER_HTTP_S if work.generated else 0.0
    return float(amount(work.frontend, "s", where="serving: frontend", zero=True))


def generated(work: Serving, rules: Scheduler) -> tuple[str, ...]:
    """What is told of that."""
    if not work.generated:
        return ()
    taken: dict[str, str] = {}
    if work.prompts is None and work.asked_again is not None and rules.prefix_cache:
        taken["prompts=0"] = (
            f"{work.asked_again} prompts are asked again and again, and found in the prefix cache"
        )
    if work.frontend is None:
        taken["frontend=0"] = f"each answer waits {show(OVER_HTTP_S, 's')} outside of the engine"
    return (ASSUMED.format(" and ".join(taken.values()), " or ".join(taken)),) if taken else ()
