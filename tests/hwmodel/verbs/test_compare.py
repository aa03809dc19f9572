"""`compare`: machines side by side."""

import pytest

import hwmodel
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import InputError

H200 = device("h200")
GEMM = hwmodel.workloads.gemm(M=64, N=64, K=64)


def test_compare_takes_a_list() -> None:
    with pytest.raises(InputError, match="one machine or more"):
        hwmodel.compare(GEMM, on=[])
    with pytest.raises(InputError, match="compare: on: expected a list"):
        hwmodel.compare(GEMM, on="h200")
    both = hwmodel.compare(GEMM, on=["h200", H200])
    assert both.estimates[0].time_s == both.estimates[1].time_s
