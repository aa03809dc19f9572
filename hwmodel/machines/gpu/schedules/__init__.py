"""What kernels do: tiles, loop orders, stages, operations and bytes, menus and rules."""
