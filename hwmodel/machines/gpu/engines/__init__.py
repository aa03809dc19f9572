"""Engines that run whole models on GPUs, a file each: a value that says all of one."""
