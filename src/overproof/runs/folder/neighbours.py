"""The runs beside a run, in which a teacher's answers to the same examples are looked up before it is asked."""

from pathlib import Path

from overproof.processes import HERE, Engine
from overproof.runs.caches import Caches
from overproof.runs.folder.resume import holds_run


def caches_beside(folder: Path, cache: Path | None = None, engine: Engine = HERE) -> Caches:
    """What a run shares with others: the answers of a teacher that was not trained on its labels.

    They are found by content: the same teacher, the same examples. No byte of a result depends on them.

    Args:
        folder: The run's.
        cache: The folder in which these runs are; None for that in which the run's is.
        engine: Where shards are answered and students are trained.
    """
    own = folder.absolute()
    around = own.parent if cache is None else cache.absolute()
    others = sorted(around.iterdir()) if around.is_dir() else []
    return Caches(
        engine=engine, runs=tuple(each for each in others if each != own and each.is_dir() and holds_run(each))
    )
