"""`predict`: time, energy, traffic and memory of a workload on a device."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

from hwmodel.machines import driver
from hwmodel.machines.driver import Away
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.quantity.reading import pairs
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import AS_IS, Word, in_python
from hwmodel.verbs.work import OfRun

AWAY = Word("What streams from a host or drive: rate=24GB/s,window=3.", str)


class Predict(OfRun):
    """Time, energy, traffic and memory of a workload on a device, with a 90 % interval.

    `on` is a machine, the name of a shipped one or a path; `kernel` the library whose kernels run
    (default: torch's choice), by name, as a value or by family, `{"attention": "cudnn"}`;
    `parallel` how a model is divided over its devices, `{"tp": 8, "pp": 2}` (tp, pp, dp, ep, etp,
    cp, sp; how rows go to experts, `dispatch`; whether halves of a batch take turns, `overlap`);
    `topology` what joins them, where that is more than one switch: a value, a table, or
    the name or file of one; `engine` what runs a model's phase, "vllm" (default: torch, plain and
    unfused); `l2` is "warm" where a kernel's work is repeated on the same activations, with the
    weights of six layers in turn, as public tables are mostly timed (default: cold, as between
    other kernels); `offload` what of a model lies in a host's memory or on a drive and streams
    layer by layer, `{"rate": "24 GB/s", "window": 3}` (`spine.offload`); `time_limit_s` the seconds
    that the search for mappings on memories and arrays may take, all layers together (default: 60):
    the answer has the best found, and by layer how far better another could be. In a pipeline
    `time_s` is that of the `batch` through all stages, and `full_tokens_per_s` counts as many
    batches under way as there are stages.
    Sizes and hardware numbers may be arrays that broadcast: the answer's fields are arrays then.
    Raises `InputError` for values that make no sense and `CoverageError` for what no model covers.
    """

    verb: ClassVar[str] = "predict"
    example: ClassVar[str] = "predict llama-3.1-8b --context 2048 --batch 32 --on h200"

    offload: Annotated[Away, AS_IS, AWAY] = None
    cases: Annotated[str | None, Word("A file of cases, one JSON object a line.", alone=True)] = (
        None
    )
    time_limit_s: Annotated[
        float | None, Word("Seconds to search mappings on memories and arrays (60).", float)
    ] = None
    out: Annotated[str | None, Word("Where answers to --cases go.", alone=True)] = None
    picture: Annotated[
        str | None,
        Word("A file for a picture: .png, .svg, .pdf; or .json, a trace.", alone=True),
    ] = None

    @classmethod
    def instead(cls, words: Mapping[str, Any]) -> int | None:
        """Answer a file of cases."""
        if "cases" not in words:
            if "out" in words:
                told = "--out: expected --cases with it; it is where answers to cases go"
                raise InputError(told)
            return None
        extra = [name for name in words if name not in ("cases", "out")]
        if extra:
            raise InputError(f"--cases: expected no other argument but --out, found {extra[0]!r}")
        from hwmodel.verbs.cases import predict_file

        return predict_file(words["cases"], words.get("out"))

    def of(self, workload: Any, on: Any, kernel: Any) -> Estimate:
        """The estimate."""
        own = {"offload": self.away, "time_limit_s": self.time_limit_s}
        return driver.predict(workload, on, kernel=kernel, **own, **self.run)

    @property
    def away(self) -> Away:
        """What streams, where that is said, in words too."""
        return None if self.offload is None else cast(Away, pairs(self.offload, "offload"))

    def draw(self, answer: Any, path: str) -> None:
        """Where time and energy go."""
        from hwmodel.verbs.plot import of_estimate

        of_estimate(answer, self.on, path)

    def save(self, answer: Any, path: str) -> None:
        """Its kernels, a row each; of an answer that has none, what it has."""
        from hwmodel.text.frames import write_table

        if not isinstance(answer, Estimate):
            super().save(answer, path)
        else:
            write_table(answer.kernels, path)

    def status(self, answer: Any) -> int:
        """What does not fit has a status of its own."""
        return 0 if answer.fits else CapacityError.exit_status


predict = in_python(Predict)
