"""`patches`: the split and the patches of a network that fit a microcontroller, and why.

The network is named as in `hwmodel predict cnn`, by fields such as network=mobilenetv2
resolution=160, or is a `.tflite` or `.onnx` file.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.verbs.ask import ON, PICTURE, Question, Word, pair
from hwmodel.verbs.work import KERNEL

if TYPE_CHECKING:
    from hwmodel.mappers.patches import PatchMapped

FIELDS = ("resolution", "width", "classes", "dtype")


class Patches(Question):
    """The patches by which a network fits a microcontroller best, with a proof."""

    verb: ClassVar[str] = "patches"
    example: ClassVar[str] = "patches mobilenetv2 resolution=96 width=0.35 --on stm32h743"

    network: Annotated[str, Word("A network's name, or a .tflite or .onnx file.", place=True)]
    fields: Annotated[
        list[str] | None, Word("resolution=160 width=0.35", place=True, alone=True)
    ] = None
    on: Annotated[str, ON]
    objective: Annotated[str | None, Word("latency (default), energy, traffic or sram.")] = None
    sram: Annotated[str | None, Word("A limit: 192KiB (default: all of it).")] = None
    kernel: Annotated[str | None, KERNEL] = None
    resolution: Annotated[int | None, Word("Of the image.")] = None
    width: Annotated[float | None, Word("Of the layers, as a share.")] = None
    classes: Annotated[int | None, Word("That the network tells apart.")] = None
    dtype: Annotated[str | None, Word("Number format.")] = None
    picture: Annotated[str | None, PICTURE] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """Fields of the network as words with an equals sign, or as options."""
        rest = dict(words)
        given = dict(pair(text) for text in rest.pop("fields", []))
        for name in given:
            if name not in FIELDS:
                raise UnknownNameError("field of a network", name, FIELDS)
        return cls.read({**rest, **given})

    def answer(self) -> "PatchMapped":
        """The answer; raises as `certified` does."""
        from hwmodel.einsum.workloads.cnn import cnn
        from hwmodel.mappers.patches import DEFAULT_OBJECTIVE, certified, map_patches

        machine = device(self.on)
        if machine.kind != "mcu":
            told = f"{machine.name} ({machine.kind})"
            raise InputError(f"--on: expected a microcontroller, found {told}")
        fields = {name: getattr(self, name) for name in FIELDS}
        given = {name: value for name, value in fields.items() if value is not None}
        return certified(
            map_patches,
            cnn(self.network, **given),
            machine,
            objective=self.objective or DEFAULT_OBJECTIVE,
            kernel=self.kernel,
            sram_bytes=self.sram,
        )

    def draw(self, answer: "PatchMapped", path: str) -> None:
        """SRAM by layer."""
        from hwmodel.show.pictures.arena import draw

        draw(answer.schedule, path, sram_bytes=answer.sram_bytes, used=answer.library)

    def status(self, answer: "PatchMapped") -> int:
        """What does not fit has a status of its own."""
        return 0 if answer.estimate.fits else CapacityError.exit_status
