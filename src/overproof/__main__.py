"""`python -m overproof` is `overproof`: signals are handled before anything that takes time is imported."""

from overproof.commands.output.signals import end_at_once


def start() -> None:
    """Run the command of `sys.argv`."""
    end_at_once()
    from overproof.commands.main import main

    main()


if __name__ == "__main__":
    start()
