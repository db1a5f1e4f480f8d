"""Teacher answers from files, for every role of a run."""

from collections.abc import Iterable, Mapping, Sequence

from overproof.answers.files import ParsedFiles, Vote, read_answers
from overproof.answers.predictions import Answers
from overproof.data import Examples
from overproof.errors import InputError
from overproof.teachers.kind import Named, TeacherKind


def from_files(
    paths: Sequence[str],
    parties: Mapping[str, Examples],
    class_names: tuple[str, ...],
    *,
    classes: Sequence[str] = (),
    vote: Vote = "soft",
    parsed: ParsedFiles | None = None,
) -> dict[str, Answers]:
    """Answers by role from files, joined by the id column of the data (or by content id).

    Every role must be answered whole by one of the files.

    Args:
        paths: The files, tried in turn for every role.
        parties: Examples by role.
        class_names: The run's, in order.
        classes: The order of the files' lists of probabilities, where it is another.
        vote: How several answers to one example are combined.
        parsed: Cache of the files' content.

    Raises:
        InputError: A role that no file answers; the sentence is that of the last file tried.
    """
    answers, files = {}, parsed or ParsedFiles()
    for role, examples in parties.items():
        join = examples.ids if examples.keys is None else examples.keys
        for path in paths:
            try:
                answers[role] = read_answers(
                    path, join, class_names, classes=tuple(classes), vote=vote, source=examples.origin, parsed=files
                )
                break
            except InputError:
                if path == paths[-1]:
                    raise
    return answers


class AnswerFiles(TeacherKind):
    """Files of answers; there is no model to open, `from_files` reads them."""

    def matches(self, named: Named) -> bool:
        """No other kind has answers."""
        return bool(named.answers)

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """All files."""
        return [("answers", path) for path in named.answers]
