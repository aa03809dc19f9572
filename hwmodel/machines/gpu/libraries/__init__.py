"""Libraries of GPU kernels, a file each: a value that says all of one that the package needs."""
