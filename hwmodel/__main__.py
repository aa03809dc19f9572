"""`python -m hwmodel`: the command line."""

from hwmodel.cli import main

main()
