"""What division adds around the blocks of a network: sequence parallelism, and a pipeline's sends.

Under sequence parallelism (Korthikanti et al., arXiv 2205.05198) what every device of a tensor-
parallel group would do alike, norms and residual additions, each does for its part of the tokens:
an all-reduce becomes a reduce-scatter, and hidden states are gathered before the next product.
"""

from dataclasses import replace

from hwmodel.einsum.workloads.blocks.block import Block, Step, caches
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError


def divided(block: Block, step: Step, share: Share) -> Stages:
    """The kernels of a layer's block on one device."""
    _check(block, share)
    made = block.stages(step, share)
    if not share.ways.sp:
        return made
    joints = [stage.collective for stage in made if _reduces(stage)]
    if not joints:
        whole = next(caches(block), None) is not None
        return made if whole else block.stages(step.scatter(share.tp), share)
    assert joints[0] is not None
    opened = share.exchanged("sequence gather", "all_gather", joints[0].bytes, "tp")
    return (*opened, *_scattered(made))


def embedded(block: Block, step: Step, share: Share) -> Stages:
    """The kernels of a block before the layers, whose hidden states are left scattered."""
    made = block.stages(step, share)
    return _scattered(made) if share.ways.sp else made


def handed(step: Step, share: Share, hidden: int) -> Stages:
    """Hidden states on their way from each stage of a pipeline to the next.

    Of a tensor-parallel group each device sends its part, and the next group gathers them
    (Megatron-LM, arXiv 2104.04473), but where they are left scattered.
    """
    ways = share.ways
    if ways.pp == 1:
        return ()
    size = step.tokens * (hidden * bytes_of(share.activation))
    sent = share.exchanged("pipeline send", "p2p", ceil_div(size, ways.tp), "pp", runs=ways.pp - 1)
    if ways.sp:
        return sent
    return (
        *sent,
        *share.exchanged("pipeline gather", "all_gather", size, "tp", runs=ways.pp - 1),
    )


def gathered(step: Step, share: Share, hidden: int) -> Stages:
    """Hidden states of last tokens, gathered for the head where they are left scattered."""
    if not share.ways.sp:
        return ()
    size = step.judged * (hidden * bytes_of(share.activation))
    return share.exchanged("sequence gather", "all_gather", size, "tp")


def _reduces(stage: object) -> bool:
    joint = getattr(stage, "collective", None)
    return joint is not None and joint.op == "all_reduce"


def _scattered(stages: Stages) -> Stages:
    """Sums over devices, of which each keeps its part."""
    return tuple(
        replace(stage, collective=replace(stage.collective, op="reduce_scatter"))
        if stage.collective is not None and _reduces(stage)
        else stage
        for stage in stages
    )


def _check(block: Block, share: Share) -> None:
    """Tokens of a sequence are divided where its mixer can do that."""
    if share.ways.cp == 1 or getattr(block, "over_contexts", False):
        return
    if next(caches(block), None) is not None:
        raise CoverageError(
            f"model: cp: tokens of a sequence are divided for attention alone; found"
            f" {type(block).__name__}, found cp={share.ways.cp}"
        )
