"""FPGAs: hls4ml designs, experts in expert order, blocks and slices."""
