"""Tables that load what they are asked for: names for nothing, values under their own names."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from hwmodel.einsum.workloads.modifiers.named import MODIFIERS
from hwmodel.einsum.workloads.policies.named import POLICIES
from hwmodel.machines.gpu.engines.shipped import ENGINES
from hwmodel.quantity.lazily import Lazily


def test_names_load_nothing_and_a_value_its_module_alone() -> None:
    code = (
        "import sys\nfrom hwmodel.quantity.lazily import Lazily\n"
        "table = Lazily({'a': 'colorsys:rgb_to_hls', 'b': 'this:s'}) \n"
        "assert [*table] == ['a', 'b'] and 'a' in table and 'c' not in table and len(table) == 2\n"
        "assert 'colorsys' not in sys.modules\n"
        "assert table['a'](0.2, 0.4, 0.4)[1] == 0.30000000000000004\n"
        "assert 'colorsys' in sys.modules and 'this' not in sys.modules\n"
        "assert table.get('c') is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_a_key_that_is_missing() -> None:
    with pytest.raises(KeyError, match="nothing"):
        Lazily[int]({})["nothing"]


@pytest.mark.parametrize("table", [MODIFIERS, POLICIES, ENGINES], ids=["mod", "policy", "engine"])
def test_what_is_shipped_has_the_name_that_it_is_asked_by(table: Mapping[str, Any]) -> None:
    assert {name: getattr(v, "NAME", None) or v.name for name, v in table.items()} == {
        name: name for name in table
    }
