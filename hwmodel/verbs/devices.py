"""`devices`: the devices that are known; with a name, every number of one and its source."""

from typing import Annotated, Any, ClassVar

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.catalogue import devices as shipped
from hwmodel.verbs.ask import Question, Word


class Devices(Question):
    """The devices that are known; with a name, every number of one and its source."""

    verb: ClassVar[str] = "devices"
    example: ClassVar[str] = "devices h200"

    name: Annotated[
        str | None,
        Word("A device's name, or its YAML file.", place=True, complete="devices"),
    ] = None

    def answer(self) -> Any:
        """One device, or a list of all."""
        return [device(name) for name in shipped()] if self.name is None else device(self.name)

    def record(self, answer: Any) -> Any:
        """Every field of each."""
        from hwmodel.show.json import plain

        return plain(answer)

    def text(self, answer: Any) -> str:
        """A datasheet, or one row a device."""
        from hwmodel.show.text import devices_text

        return devices_text(answer) if self.name is None else str(answer)
