"""`devices`: the devices that are known; with a name, every number of one and its source."""

from typing import Annotated, Any, ClassVar

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.catalogue import devices as shipped
from hwmodel.hardware.own import own
from hwmodel.quantity.errors import HwmodelError
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
        if self.name is not None:
            return device(self.name)
        return [device(name) for name in shipped() if name not in unread()]

    def record(self, answer: Any) -> Any:
        """Every field of each."""
        from hwmodel.show.json import plain

        return plain(answer)

    def text(self, answer: Any) -> str:
        """A datasheet, or one row a device."""
        from hwmodel.show.text import devices_text

        if self.name is not None:
            return str(answer)
        told = "\n".join(f"not read: {name}: {why}" for name, why in unread().items())
        return f"{devices_text(answer)}\n\n{told}".rstrip()


def unread() -> dict[str, str]:
    """Devices of the user's own that cannot be read, and why: they hide no others."""
    found: dict[str, str] = {}
    for name in own():
        try:
            device(name)
        except HwmodelError as error:
            found[name] = str(error)
    return found
