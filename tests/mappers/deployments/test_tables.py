"""Tables of steps against predictions one by one."""

import pickle
from concurrent.futures import Future
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.mappers.deployments.kinds import kinds
from hwmodel.mappers.deployments.tables import Tables
from hwmodel.mappers.deployments.traffic import Traffic


def test_steps_are_those_that_predict_says() -> None:
    llm, h100 = hw.model("llama-3.1-8b"), hw.device("h100")
    kind = next(k for k in kinds(llm, [h100], 2) if k.ways.tp == 2 and not k.quantised)
    tables = Tables(Traffic(8, 3000, 200), (1024, 4096))
    assert tables.chunks(1024) == (1000, 3)
    assert tables.chunks(4096) == (3000, 1)
    table = tables.predicted(kind, 4096)
    seconds, joules = table.at(64)
    how: dict[str, Any] = {"on": h100 * 2, "engine": "vllm", "parallel": {"tp": 2}}
    alone = hw.predict(llm.decode(batch=64, context=3100), **how)
    both = hw.predict(llm.mixed(batch=64, context=3100, prompts=1, prompt=3000), **how)
    first = hw.predict(llm.prefill(batch=1, prompt=3000), **how)
    assert seconds[:2] == pytest.approx([alone.sustained_time_s, both.sustained_time_s], rel=1e-4)
    assert joules[:2] == pytest.approx([alone.energy_j, both.energy_j], rel=1e-4)
    assert table.at(0)[0][1] == pytest.approx(first.sustained_time_s, rel=1e-4)
    assert alone.serving is not None
    assert table.kv_tokens == alone.serving.memory.kv_capacity_tokens


def test_pools_of_one_role_have_the_steps_of_that_role() -> None:
    llm, h100 = hw.model("llama-3.1-8b"), hw.device("h100")
    kind = next(iter(kinds(llm, [h100], 1)))
    tables = Tables(Traffic(8, 1000, 200), (1024, 2048))
    both, decode = tables.predicted(kind, 2048), tables.predicted(kind, 2048, "decode")
    prefill = tables.predicted(kind, 2048, "prefill")
    assert decode.at(96)[0][0] == pytest.approx(both.at(96)[0][0])
    assert prefill.at(0)[0][1:] == pytest.approx(both.at(0)[0][1:])


class Elsewhere:
    """An executor whose calls go through pickle, as those to another machine do."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, function: Any, *arguments: Any) -> Any:
        future: Future[Any] = Future()
        self.calls += 1
        there = pickle.loads(pickle.dumps((function, arguments)))
        future.set_result(pickle.loads(pickle.dumps(there[0](*there[1]))))
        return future


def test_steps_that_were_worked_out_elsewhere_are_those_of_here() -> None:
    llm, h100 = hw.model("llama-3.1-8b"), hw.device("h100")
    some = list(kinds(llm, [h100], 2))[:3]
    there = Elsewhere()
    here, away = (
        Tables(Traffic(8, 1000, 200), (1024, 2048), submit=submit)
        for submit in (None, there.submit)
    )
    here.ahead(some, "prefill")
    assert not here.known
    away.ahead(some, "both")
    assert there.calls == len(away.known) == 9
    away.ahead(some, "decode")
    assert there.calls == 9
    for kind in some:
        one, other = here.predicted(kind, 2048), away.predicted(kind, 2048)
        assert one.seconds.tolist() == other.seconds.tolist()
        assert one.joules.tolist() == other.joules.tolist()
