"""Somebody fine-tunes a transformer with the Trainer, and has an LLM's answers in a CSV file in another order."""

import numpy as np
import pyarrow.csv
import pytest
import torch

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from overproof.huggingface import distillation_of  # noqa: E402

TOPICS = {"billing": ["invoice", "refund", "card"], "login": ["password", "code", "locked"]}
WORDS = ["[PAD]", *(word for words in TOPICS.values() for word in words), "please", "hello", "today"]
NUM, NUM_LABELLED, NUM_SEEN = 460, 60, 360


def test_wd_in_the_trainer(tmp_path):
    draw, names = np.random.default_rng(0), list(TOPICS)
    topic = draw.integers(0, 2, NUM)
    texts = [[*draw.choice(TOPICS[names[each]], 2), *draw.choice(WORDS[-3:], draw.integers(1, 4))] for each in topic]
    order = draw.permutation(NUM_SEEN)
    lines = ["id,answer", *(f"t{row},{names[topic[row] ^ int(draw.random() < 0.2)]}" for row in order)]
    (tmp_path / "llm.csv").write_text("\n".join(lines))

    rows = [
        {
            "id": f"t{row}",
            "text": " ".join(words),
            "input_ids": [WORDS.index(word) for word in words],
            "label": names[topic[row]] if row < NUM_LABELLED else None,
        }
        for row, words in enumerate(texts[:NUM_SEEN])
    ]
    answers = pyarrow.csv.read_csv(tmp_path / "llm.csv")
    distillation = distillation_of(rows, answers, class_names=names, method="wd")
    assert repr(distillation) == "Distillation(40 labelled and 300 pool rows, 20 held out, 2 classes)"

    def collate(features):
        longest = max(len(each["input_ids"]) for each in features)
        padded = torch.tensor([[*each["input_ids"], *[0] * (longest - len(each["input_ids"]))] for each in features])
        return {
            "input_ids": padded,
            "attention_mask": (padded > 0).long(),
            "labels": torch.tensor([each["label"] for each in features]),
        }

    transformers.set_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=2, max_position_embeddings=16,
    )  # fmt: skip
    unseen = [
        {"input_ids": [WORDS.index(word) for word in words], "label": int(topic[NUM_SEEN + row])}
        for row, words in enumerate(texts[NUM_SEEN:])
    ]
    trainer = transformers.Trainer(
        transformers.BertForSequenceClassification(config),
        transformers.TrainingArguments(
            str(tmp_path / "out"), num_train_epochs=4, per_device_train_batch_size=17, gradient_accumulation_steps=2,
            learning_rate=0.01, report_to="none", save_strategy="no", disable_tqdm=True, use_cpu=True,
        ),
        train_dataset=distillation.train_dataset,
        eval_dataset=unseen,
        data_collator=collate,
        compute_loss_func=distillation.loss,
        callbacks=[distillation],
        compute_metrics=lambda found: {"accuracy": (found.predictions.argmax(axis=1) == found.label_ids).mean()},
    )  # fmt: skip
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] > 0.9
