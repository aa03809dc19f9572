"""GPUs: kernels of libraries, their tiles, waves, clocks and energy."""
