"""The kind `endpoint`: a language model at an address, which a run asks about all its examples before it begins."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from overproof.data import Examples, Kind
from overproof.errors import InputError
from overproof.teachers.endpoint.client import need_client
from overproof.teachers.endpoint.options import ENDPOINT, endpoint_options
from overproof.teachers.endpoint.prompt import check_fields, read_prompt
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import Brought


class EndpointByName(BroughtKind):
    """`endpoint`."""

    def matches(self, named: Named) -> bool:
        """By name."""
        return named.model == ENDPOINT

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """The prompt."""
        return [("options.prompt", endpoint_options(named.options).prompt)]

    def files(self, named: Named) -> list[Path]:
        """None but the prompt, which is among its options."""
        return []

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """That its package is there, the prompt can be read, and the data are texts or rows of a table."""
        need_client()
        super().check(named, option, kind)
        prompt = endpoint_options(named.options).prompt
        read = read_prompt(prompt)
        if kind == "image":
            raise InputError(f"Option '{option}.model' is 'endpoint', which reads no images.")
        if kind == "text":
            check_fields(read, ["text"], prompt)

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> Brought:
        """It has no model to open.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "The teacher 'endpoint' is asked by a run: overproof label experiment.yaml --out RUN; from Python ask with "
            "overproof label FILE --endpoint URL, and read its answers."
        )
