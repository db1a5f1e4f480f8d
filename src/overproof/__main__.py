"""`python -m overproof` is `overproof`."""

from overproof.commands.main import main

main()
