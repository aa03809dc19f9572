"""Published tables of collectives: read as they are meant, and predicted on rows no fit saw."""

from pathlib import Path

import numpy as np
import pytest

from hwmodel.einsum.workloads.collective import collective
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.validation.fit import is_test
from hwmodel.validation.tables import nccl_rows

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "tables"
"""Tables of others (aiconfigurator-core 0.12.0), where a checkout has them beside it."""

HEAD = "op_name,nccl_dtype,framework,version,kernel_source,num_gpus,message_size,latency_us\n"


def test_messages_are_counted_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "toy.nccl.csv"
    path.write_text(
        f"{HEAD}all_reduce,half,nccl,2.29.2,NCCL,4,1024,9.5\n"
        "alltoall,int8,nccl,2.29.2,NCCL,8,1024,12\nscatter,int8,nccl,2.29.2,NCCL,8,1024,12\n"
    )
    first, second = nccl_rows(path)
    assert (first.columns["op"], first.columns["bytes"]) == ("all_reduce", 2048)
    assert first.time_s == pytest.approx(9.5e-6)
    assert (second.columns["op"], second.columns["bytes"]) == ("all_to_all", 1024)
    assert first.board == "published, NCCL 2.29.2"


ERRORS = {
    **{"a100_sxm": 0.08, "h100_sxm": 0.08, "h200_sxm": 0.10, "b200_sxm": 0.08, "b300_sxm": 0.085},
    **{"rtx_pro_6000_server": 0.11, "l40s": 0.12},
}
"""Mean |predicted / measured - 1| of the half that was not fitted: 0.072, 0.069, 0.096, 0.076,
0.079, 0.105 and 0.116 when they were; the last two are joined by PCIe."""


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published tables")
@pytest.mark.parametrize("table", ERRORS)
def test_collectives_that_no_fit_saw_are_predicted(table: str) -> None:
    name = table.removesuffix("_sxm").removesuffix("_server").replace("_", "-")
    rows = [r for r in nccl_rows(PUBLISHED / f"{table}.nccl.csv") if is_test(r)]
    assert len(rows) > 70
    inside: list[bool] = []
    errors: dict[tuple[str, int, str], list[float]] = {}
    for row in rows:
        op, size, ranks = (row.columns[each] for each in ("op", "bytes", "ranks"))
        found = predict(collective(op, size, ranks), name)
        inside.append(float(found.time_low_s) < row.time_s < float(found.time_high_s))
        where = "up to 1 MiB" if size <= 2**20 else "above"
        error = float(found.time_s) / row.time_s - 1
        errors.setdefault((op, ranks, where), []).append(error)
    for key, each in sorted(errors.items()):
        print(name, *key, len(each), f"mean {np.mean(np.abs(each)):.3f} bias {np.mean(each):+.3f}")
    assert np.mean(np.abs(np.concatenate(list(errors.values())))) < ERRORS[table]
    assert np.mean(inside) > 0.75


def test_a_relative_stands_in_for_what_was_not_fitted() -> None:
    calibration, near = device("b200").calibration, device("h200").calibration
    assert calibration is not None
    assert near is not None
    own = calibration.family("collective")
    assert (own.origin, own.rows > 70) == ("measured", True)
    assert "aiconfigurator-core 0.12.0" in own.source
    assert set(near.families) <= set(calibration.families)
    others = {
        family.origin
        for family in calibration.families.values()
        if "aiconfigurator-core 0.12.0" not in family.source
    }
    assert others <= {"inherited", "prior"}
    assert "inherited from NVIDIA H200" in calibration.source
    found = predict(collective("all_gather", 2**20, 8), "b200")
    assert found.warnings == ()
    assert any("aiconfigurator-core" in told for told in found.assumptions)
