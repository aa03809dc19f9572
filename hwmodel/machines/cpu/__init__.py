"""CPU boards: vector units and memory at the shares of their peaks that code reaches."""
