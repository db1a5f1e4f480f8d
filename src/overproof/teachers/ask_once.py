"""The stored answers of a pretrained teacher, which has seen none of the examples: each is computed once."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from overproof.answers.ask import AskedBy, answer
from overproof.answers.predictions import Answers
from overproof.data import Examples
from overproof.errors import InputError
from overproof.processes import Engine
from overproof.storage.id_index import IdIndex
from overproof.storage.keys import ANSWERS
from overproof.storage.shard import StoreKey
from overproof.storage.store import MANIFEST, RowsDone, copy_from
from overproof.teachers.keys import as_kept, same_of_any
from overproof.teachers.scorers import Brought


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SharedPool:
    """The examples that the roles of all seeds are drawn from: answered as a whole, once for all seeds.

    Args:
        examples: All of them.
        roles: The roles that are drawn from them.
        folder: Where their answers are stored.
        other_stores: More such folders.
    """

    examples: Examples
    roles: tuple[str, ...]
    folder: Path
    other_stores: Sequence[Path]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Asker:
    """Where a teacher is asked.

    Args:
        engine: What maps shards.
        elsewhere: As in `Work`: gives what opens the same teacher in another process.
    """

    engine: Engine
    elsewhere: Callable[[], Callable[[], Callable[[Examples], Tensor]]]


def ask_once(
    teacher: Brought,
    by_role: Mapping[str, Examples],
    class_names: tuple[str, ...],
    *,
    folder: Path,
    other_stores: Sequence[Path] = (),
    shared_pool: SharedPool | None = None,
    asker: Asker | None = None,
    progress: RowsDone | None = None,
) -> dict[str, Answers]:
    """A pretrained teacher's answers for every role. There are no folds, because it has seen none of the examples.

    Args:
        teacher: Called only where an answer is not stored yet.
        by_role: Examples by role.
        class_names: The run's, in order.
        folder: Answers are stored in `folder/ROLE`.
        other_stores: More such folders; the teacher's answers there to the very same examples are copied.
        shared_pool: What some roles are drawn from; their answers are copied from those to all of it.
        asker: Where it is asked; None asks it in this process, as `HERE` does.
        progress: Called with (rows done, rows in all) for each role in turn.

    Raises:
        InputError: Examples of a kind that the teacher does not read, or a store of another teacher or of other
            examples.
    """

    for role, examples in by_role.items():
        if examples.kind != teacher.kind:
            raise InputError(
                f"The teacher reads examples of kind {teacher.kind!r}, but those of {role!r} ({examples.origin}) are "
                f"of kind {examples.kind!r}; name a teacher for {examples.kind}s."
            )

    @functools.cache
    def of_shared_pool() -> tuple[Answers, IdIndex]:
        assert shared_pool is not None
        answers = ask_once(
            teacher,
            {"train": shared_pool.examples},
            class_names,
            folder=shared_pool.folder,
            other_stores=shared_pool.other_stores,
            asker=asker,
            progress=progress,
        )
        return answers["train"], IdIndex(shared_pool.examples.ids)

    def ask_for(role: str, examples: Examples) -> Callable[[slice], Tensor | Answers] | AskedBy:
        def take(rows: slice) -> Examples:
            return examples.take(torch.arange(rows.start, rows.stop))

        def of_shared(rows: slice) -> Answers:
            answers, index = of_shared_pool()
            return answers.take(torch.from_numpy(index.find(examples.ids[rows])[0]))

        if shared_pool is not None and role in shared_pool.roles:
            return of_shared
        if asker is None:
            return lambda rows: teacher.probs(take(rows))
        return AskedBy(
            engine=asker.engine,
            take=lambda rows: take(rows).in_memory(),
            probs=teacher.probs,
            elsewhere=asker.elsewhere,
        )

    def answers_of(role: str, examples: Examples) -> Answers:
        key = StoreKey(teacher=teacher.fingerprint, data=examples.digest(), transform=role, code=ANSWERS)
        # Of a file: its fingerprint with the file's name in it, as earlier versions stored its answers.
        former = replace(key, teacher=getattr(teacher, "former", "") or teacher.fingerprint)
        fits = functools.partial(same_of_any, (key, former))
        if shared_pool is not None and role in shared_pool.roles and not (folder / role / MANIFEST).exists():
            # Whatever is found elsewhere, the same files are left.
            of_shared_pool()
        copy_from([each / role for each in other_stores], folder / role, fits)
        return answer(
            folder / role,
            examples.ids,
            as_kept(folder / role, key, former),
            class_names,
            ask_for(role, examples),
            source=examples.origin,
            progress=progress,
            mmap=examples.mapped is not None,
        )

    return {role: answers_of(role, examples) for role, examples in by_role.items()}
