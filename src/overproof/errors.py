"""The one exception a user is meant to read."""


class InputError(ValueError):
    """One sentence naming the file, row or option, what was found and what is allowed.

    The command line prints it and exits with code 2; from Python it is an ordinary ``ValueError``.
    """
