"""Images of a prompt: tokens by count or resolution, and what a vision tower runs for them.

A prompt counts its tokens of images (but for models whose layers attend to an image beside the
text). What they take before the text is read: the tower on all patches of all images, then the
projector that joins them to the text's hidden states.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.config import whole_config
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.einsum.workloads.record import Config
from hwmodel.einsum.workloads.shard import Shard
from hwmodel.einsum.workloads.workload import whole
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount

if TYPE_CHECKING:
    from hwmodel.einsum.workloads.architectures.projectors import Images

_SIZE = re.compile(r"\s*(\d{1,6})\s*[x\u00d7]\s*(\d{1,6})\s*")


@dataclass(frozen=True)
class Vision:
    """What reads images: a tower's network and formats, and what joins it to the text."""

    network: Network
    precision: Precision
    warnings: tuple[str, ...]
    images: "Images"

    @property
    def joining(self) -> tuple[Weight, ...]:
        """Weights of the projector."""
        return tuple(weight for block in self.images.blocks for weight in block.weights())

    @property
    def parameters(self) -> int:
        """Those of the tower and of the projector."""
        joining = sum(weight.elements() for weight in self.joining)
        return Shard(self.network, self.precision).parameters + joining

    def held_bytes(self, ways: Division) -> int | float:
        """Bytes on each device: its share of the tower, and the whole projector."""
        each = bytes_of(self.precision.unquantised)
        joining = sum(weight.elements() for weight in self.joining) * each
        return Shard(self.network, self.precision, ways).weight_bytes + joining


@dataclass(frozen=True)
class Asked:
    """Images of each prompt, and what is said of their size: tokens, or pixels ("1024x768")."""

    images: Amount
    image_tokens: Amount | None = None
    image_size: str | None = None


def images_of(source: Any, vision: Config, hidden: int) -> "Images":
    """How the model of a config reads images; `CoverageError` where that is not modelled."""
    from hwmodel.einsum.workloads.architectures.projectors import RULES, Parts

    name, keys = whole_config(source)
    kind = keys.get("model_type")
    if kind not in RULES:
        raise CoverageError(
            f"{name}: images of {shown(kind)} are not modelled; expected one of"
            f" {', '.join(sorted(RULES))}. Its parts are read alone: part='text' (its image tokens"
            " among the prompt's) and part='vision'"
        )
    return RULES[str(kind)](Parts(keys, vision, hidden))


def patches_of(images: "Images", asked: Asked, where: str) -> Amount:
    """Patches of each image, by its tokens or its size; raises `InputError`."""
    if asked.image_tokens is not None and asked.image_size is not None:
        raise InputError(f"{where}: expected image_tokens or image_size, found both")
    if images.patches is not None:
        _check_fixed(images, asked, where)
        return images.patches
    if asked.image_tokens is not None:
        return whole(where, image_tokens=asked.image_tokens)["image_tokens"] * images.joined
    if asked.image_size is None:
        raise InputError(
            f"{where}: expected image_tokens, or image_size such as '1024x768', since this model"
            " reads images of any size; found neither"
        )
    assert images.side is not None
    down, across = (max(1, round(pixels / images.side)) for pixels in pixels_of(asked.image_size))
    return down * across * images.joined


def _check_fixed(images: "Images", asked: Asked, where: str) -> None:
    """A tower of one size makes as many tokens of every image."""
    told = asked.image_tokens if asked.image_size is None else asked.image_size
    if told is None or (asked.image_size is None and np.all(np.equal(told, images.tokens or 0))):
        return
    name = "image_tokens" if asked.image_size is None else "image_size"
    raise InputError(
        f"{where}: {name}: expected none, since every image (or tile of one, which counts as an"
        f" image) is made {images.tokens} tokens; found {shown(told)}"
    )


def pixels_of(size: str) -> tuple[int, int]:
    """Height and width that "1024x768" says; raises `InputError`."""
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if found is None or not all(int(each) for each in found.groups()):
        raise InputError(
            f"image_size: expected height and width in pixels, such as '1024x768',"
            f" found {shown(size)}"
        )
    return int(found[1]), int(found[2])


def seeing(
    network: Network, images: "Images", batch: Amount, patches: Amount, share: Share
) -> Stages:
    """The tower's kernels and the projector's, for so many images of so many patches each."""
    rows = patches + images.extra
    tower = network.stages(Step(batch, rows, rows, False), share)
    step = Step(batch, patches, patches, False)
    joined = (stage for block in images.blocks for stage in block.stages(step, share))
    return tuple(
        replace(
            stage,
            role=f"vision.{stage.role}",
            cascade=replace(stage.cascade, name=f"vision {stage.cascade.name}"),
            instead=stage.instead and replace(stage.instead, name=f"vision {stage.instead.name}"),
        )
        for stage in (*tower, *joined)
    )


def check_room(images: "Images", asked: Asked, patches: Amount, tokens: Amount, where: str) -> None:
    """Images of a prompt are among its new tokens."""
    if images.beside:
        return
    needed = np.asarray(asked.images) * np.asarray(patches) / images.joined
    if np.any(np.greater(needed, tokens)):
        most = shown(float(np.max(needed)))
        raise InputError(
            f"{where}: prompt: expected at least the tokens of its images ({most}), beside what is"
            f" cached, found {shown(tokens)}"
        )


def with_images(made: Stack, vision: Vision, asked: Asked, step: Step, ways: Division) -> Stack:
    """A prefill of prompts with images: what reads the images, then the prompt's stages.

    Raises `InputError` for images that are not so large or do not fit into the prompt.
    """
    if ways.devices != ways.tp:
        raise CoverageError(
            "prefill: images: expected tp alone to divide a model; leave images out"
        )
    count, images = whole("prefill", images=asked.images)["images"], vision.images
    patches = patches_of(images, asked, "prefill")
    check_room(images, asked, patches, step.queries, "prefill")
    share = Shard(vision.network, vision.precision, ways).share
    seen = seeing(vision.network, images, step.batch * count, patches, share)
    served = made.served
    assert served is not None
    held = served.weights_bytes + vision.held_bytes(ways) * ways.devices
    return replace(
        made,
        stages=(*seen, *made.stages),
        served=replace(served, weights_bytes=held),
        warnings=tuple(dict.fromkeys((*made.warnings, *vision.warnings))),
    )
