"""What engineers would otherwise use on tables; see texts.py for the form of a peer and how options are chosen."""

import itertools

import numpy as np
import pandas as pd
import torch
from peer import Fitted, folds, peer
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

GRID = [{"min_samples_leaf": leaf, "class_weight": weight} for leaf in (1, 3, 10) for weight in (None, "balanced")]


def numbers_of(given):
    """Columns as numbers: scaled, or one a category; ranges and categories of all rows without the test."""
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_exclude="number")),
        sparse_threshold=0,
    )
    columns.fit(pd.concat([given.labelled, given.pool]))
    return columns, columns.transform(given.labelled), columns.transform(given.pool)


def forest(rows, label, weight=None, seed=0, trees=100, **options):
    return ExtraTreesClassifier(trees, random_state=seed, **options).fit(rows, label, weight)


def best_options(given, labelled, pool=None, answer=None, weight=None):
    """Of `GRID`, by three-fold cross-validation on labelled rows; the pool's answers are in every training part."""

    def score(options):
        right = 0
        for inside, outside in folds(given.label):
            rows, label, weights = labelled[inside], given.label[inside], None
            if pool is not None:
                rows, label = np.vstack([rows, pool]), np.concatenate([label, answer])
                weights = None if weight is None else np.concatenate([np.ones(len(inside)), weight])
            model = forest(rows, label, weights, trees=30, **options)
            right += (model.predict(labelled[outside]) == given.label[outside]).sum()
        return right

    return max(GRID, key=score)


@peer("extremely randomised trees, labels", numbers_of, forest, best_options)
def trees_labels(given):
    columns, labelled, _ = numbers_of(given)
    options = best_options(given, labelled)
    model = forest(labelled, given.label, seed=given.seed, **options)
    return Fitted(lambda rows: model.predict(columns.transform(rows)), [columns, model], str(options))


@peer("extremely randomised trees, answers", numbers_of, forest, best_options)
def trees_hard(given):
    columns, labelled, pool = numbers_of(given)
    options = best_options(given, labelled, pool, given.answer)
    rows, label = np.vstack([labelled, pool]), np.concatenate([given.label, given.answer])
    model = forest(rows, label, seed=given.seed, **options)
    return Fitted(lambda rows: model.predict(columns.transform(rows)), [columns, model], str(options))


@peer("extremely randomised trees, soft answers", numbers_of, forest, best_options)
def trees_soft(given):
    columns, labelled, pool = numbers_of(given)
    row, answer = np.nonzero(given.probs >= 0.05)
    pool, weight = pool[row], given.probs[row, answer]
    options = best_options(given, labelled, pool, answer, weight)
    rows, label = np.vstack([labelled, pool]), np.concatenate([given.label, answer])
    model = forest(rows, label, np.concatenate([np.ones(len(given.label)), weight]), seed=given.seed, **options)
    return Fitted(lambda rows: model.predict(columns.transform(rows)), [columns, model], str(options))


@peer("SelfTrainingClassifier, trees, no answers", numbers_of, best_options)
def self_training_trees(given):
    columns, labelled, pool = numbers_of(given)
    base = ExtraTreesClassifier(100, random_state=given.seed, **best_options(given, labelled))
    unknown = np.full(len(pool), -1)
    model = SelfTrainingClassifier(base).fit(np.vstack([labelled, pool]), np.concatenate([given.label, unknown]))
    return Fitted(lambda rows: model.predict(columns.transform(rows)), [columns, model.estimator_])


@peer("cleanlab CleanLearning, trees, answers", numbers_of, forest, best_options)
def cleanlab_trees(given):
    from cleanlab.classification import CleanLearning

    columns, labelled, pool = numbers_of(given)
    options = best_options(given, labelled, pool, given.answer)
    model = CleanLearning(ExtraTreesClassifier(100, random_state=given.seed, **options), seed=given.seed)
    model.fit(np.vstack([labelled, pool]), np.concatenate([given.label, given.answer]))
    return Fitted(lambda rows: model.predict(columns.transform(rows)), [columns, model.clf], str(options))


def network_loop(given, rows, targets, judged, label, options):
    """A hand-written loop: one hidden layer, AdamW; the accuracy on judged rows after each epoch."""
    decay, rate, epochs = options
    torch.manual_seed(given.seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(rows.shape[1], 128), torch.nn.ReLU(), torch.nn.Linear(128, targets.shape[1])
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    rows, targets, found = torch.from_numpy(rows).float(), torch.from_numpy(targets).float(), []
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(128):
            loss = torch.nn.functional.cross_entropy(network(rows[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if judged is not None:
            with torch.no_grad():
                found.append(int((network(torch.from_numpy(judged).float()).argmax(1).numpy() == label).sum()))
    return network, found


def hand_written(given, probs):
    columns, labelled, pool = numbers_of(given)
    truth = np.eye(len(given.names))[given.label]
    inside, outside = folds(given.label)[0]
    rows, targets = np.vstack([labelled[inside], pool]), np.concatenate([truth[inside], probs])
    curves = {}
    for options in itertools.product((0.01, 1.0), (0.001, 0.01)):
        judged = labelled[outside], given.label[outside]
        curves[options] = network_loop(given, rows, targets, *judged, (*options, given.epochs))[1]
    best = max(curves, key=lambda each: max(curves[each]))
    epochs = 1 + int(np.argmax(curves[best]))
    rows, targets = np.vstack([labelled, pool]), np.concatenate([truth, probs])
    network, _ = network_loop(given, rows, targets, None, None, (*best, epochs))
    size = sum(4 * parameter.numel() for parameter in network.parameters())

    def classify(rows):
        with torch.no_grad():
            return network(torch.from_numpy(columns.transform(rows)).float()).argmax(1).numpy()

    return Fitted(classify, [columns], f"decay {best[0]}, rate {best[1]}, {epochs} epochs", size=size)


@peer("hand-written PyTorch loop, answers", numbers_of, network_loop, hand_written)
def network_hard(given):
    return hand_written(given, np.eye(len(given.names))[given.answer])


@peer("hand-written PyTorch loop, soft answers", numbers_of, network_loop, hand_written)
def network_soft(given):
    return hand_written(given, given.probs)
