"""How a step of training is divided over devices, where only some of it is said.

dp             what is left of the devices, where these are said
cp             1; where that leaves more replicas than there are micro-batches, so many devices
               share each sequence that every replica has one
global_batch   a micro-batch for each replica and stage of its pipeline
micro_batch    1; of images all that a replica has, since norms are of a batch
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.adapted import WIDTH
from hwmodel.einsum.workloads.training_step import FRAMEWORKS, Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes


def execution(work: Training, machine: Hardware) -> Execution:
    """How the step is divided; raises `InputError` where that is not legal."""
    given = dict(work.parallel)
    total = work.devices
    if total is None:
        total = machine.devices if machine.devices > 1 else None
    elif total < 1 or total % 1:
        raise InputError(
            f"training: devices: expected a whole number of 1 or more, found {shown(total)}"
        )
    elif machine.devices not in (1, total):
        raise InputError(
            f"training: devices: expected the {machine.devices} that it is asked of, or none"
            f" said; found {shown(total)}"
        )
    if total is not None and "dp" not in given:
        base = Execution.of({n: given[n] for n in ("tp", "cp", "pp") if n in given})
        width = base.tp * base.cp * base.pp
        if total % width:
            raise InputError(
                f"training: devices: expected a multiple of tp x cp x pp ({width}), found {total}"
            )
        replicas = total // width
        shared = 1 if "cp" in given else _shared(given, replicas)
        given |= {"dp": replicas // shared} | ({"cp": shared} if shared > 1 else {})
    if Sizes.of(work.model.network).maps and given.get("micro_batch") is None:
        replicas, batch = int(given.get("dp", 1)), given.get("global_batch")
        if batch is not None and batch % replicas == 0:
            given["micro_batch"] = batch // replicas
    how = Execution.of(given, where="training")
    if total is not None and how.devices != total:
        raise InputError(
            f"training: devices: expected tp x cp x dp x pp ({how.devices}), found {shown(total)}"
        )
    if how.global_batch is None:
        return how.but(global_batch=how.micro_batch * how.dp * how.pp)
    return how


def _shared(given: Mapping[str, Any], replicas: int) -> int:
    """Devices that share a sequence, so that no replica is without: 1 where there are enough."""
    each, batch = given.get("micro_batch", 1), given.get("global_batch")
    if batch is None or batch >= each * replicas:
        return 1
    ways = (n for n in range(1, replicas + 1) if replicas % n == 0)
    return next((n for n in ways if batch % (each * (replicas // n)) == 0), 1)


def chosen(work: Training, how: Execution) -> tuple[str, ...]:
    """What was not said of an execution and is no default, in words."""
    found: list[str] = []
    if how.cp > 1 and "cp" not in work.parallel:
        found.append(
            f"training: cp={how.cp}: {how.global_batch} sequences in micro-batches of"
            f" {how.micro_batch} are fewer than replicas"
        )
    if "global_batch" not in work.parallel:
        found.append(
            f"training: global_batch={how.global_batch}: a micro-batch a replica and stage,"
            " since none was said"
        )
    return tuple(found)


def graphed(work: Training) -> bool:
    """Whether CUDA graphs replay the passes: as is said, or where no router decides sizes.

    Networks of maps are eager, as most are trained.
    """
    sizes = Sizes.of(work.model.network)
    return not (sizes.experts > 1 or sizes.maps) if work.graphs is None else work.graphs


def taken(work: Training, how: Execution) -> tuple[str, ...]:
    """What is taken of a run that says nothing of it, and would change its seconds, in words."""
    words = ["zero", "recompute"]
    words += ["sp"] if how.tp > 1 else []
    words += ["dispatch", "overlap"] if how.ep > 1 else []
    told = [f"{name}={getattr(how, name)}" for name in words if name not in work.parallel]
    if how.pp > 1 and how.schedule is None:
        told.append(f"schedule={how.pipeline}")
    if work.graphs is None:
        told.append(f"graphs={graphed(work)}")
    if work.backwards and work.optimizer == Training.optimizer:
        told.append(f"optimizer={work.optimizer}")
    if work.adapters is not None and work.adapters.kind != "lora":
        told += [f"adapters width={WIDTH}"] if work.adapters.width == WIDTH else []
    if not told:
        return ()
    return (
        f"training: taken where nothing is said: {', '.join(told)}; framework="
        f"{', '.join(FRAMEWORKS)} takes what these do",
    )
