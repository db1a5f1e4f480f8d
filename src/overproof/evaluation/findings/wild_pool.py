"""The in-domain share of the examples that a method keeps of a wild pool."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for all rows that keep as much of the same kind, where foreign examples are marked."""
    rows_by_selection: dict[tuple[int, int, float, float, float], list[str]] = {}
    for row in facts.row_names():
        kept = facts.partial_selections(row)
        if kept and all("in_domain" in each for each in kept):
            inside, pool, of_all = (
                fmean(each["in_domain"][part] for each in kept) for part in ("kept", "pool", "of_all")
            )
            rows_by_selection.setdefault((kept[0]["num_kept"], kept[0]["num_pool"], inside, pool, of_all), []).append(
                row
            )
    return [
        f"Kept by {', '.join(rows)}: {num_kept} of {num_pool} pool examples; {inside:.1%} of them are in-domain "
        f"({pool:.1%} of the pool), which is {of_all:.1%} of all that are."
        for (num_kept, num_pool, inside, pool, of_all), rows in rows_by_selection.items()
    ]
