"""How each class of machine runs a workload: one folder a class, one driver over them."""
