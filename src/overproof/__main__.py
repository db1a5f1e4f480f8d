"""`python -m overproof` is `overproof`."""

from overproof.cli import main

main()
