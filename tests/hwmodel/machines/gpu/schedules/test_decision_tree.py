"""Trees of nodes: leaves as walked by hand."""

import numpy as np

from hwmodel.machines.gpu.schedules.decision_tree import Nodes


def test_a_tree_leads_below_a_limit_and_above_it() -> None:
    """Two questions, three leaves, each node before what lies below it; a limit goes below."""
    nodes = Nodes(
        seen=np.array([1, -1, 0, -1, -1]),
        limit=np.array([10.0, 0.0, 2.5, 0.0, 0.0]),
        above=np.array([2, 0, 4, 0, 0]),
    )
    asked = np.array([[9.0, 10.0], [2.0, 11.0], [3.0, 11.0]])
    assert nodes.leaf(asked).tolist() == [1, 3, 4]
