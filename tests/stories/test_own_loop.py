"""Somebody has a training loop in PyTorch, and adds the weights of WD to it in three lines."""

import torch
from torch import nn

import overproof
from overproof.synthetic import margin_world


def loop(world, held_out, labelled, pool, weights=None):
    """A loop as anybody writes it; the three lines are those with `weights`."""
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(world.inputs.shape[1], 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-3)
    inputs, answers = world.inputs[pool], world.teacher_probs[pool]
    for epoch in range(5):
        if weights and epoch:
            with torch.no_grad():
                weights.refresh(student(world.inputs[held_out]))
        for rows in torch.randperm(len(inputs)).split(100):
            logits = student(inputs[rows])
            on_pool = nn.functional.cross_entropy(logits, answers[rows].argmax(dim=1), reduction="none")
            if weights:
                on_pool = on_pool * weights(answers[rows], logits)
            on_labels = nn.functional.cross_entropy(
                student(world.inputs[labelled]), world.label[labelled], reduction="none"
            )
            optimizer.zero_grad()
            torch.cat([on_pool, on_labels]).mean().backward()
            optimizer.step()
    return student


def test_wd_in_ones_own_loop():
    world = margin_world(num_examples=2000, num_classes=3, seed=0)
    held_out, labelled, pool, test = slice(0, 150), slice(150, 300), slice(300, 1200), slice(1200, 2000)
    weights = overproof.Weights(world.label[held_out], world.teacher_probs[held_out])
    found = {
        name: (student(world.inputs[test]).argmax(dim=1) == world.label[test]).float().mean().item()
        for name, student in {
            "plain": loop(world, held_out, labelled, pool),
            "wd": loop(world, held_out, labelled, pool, weights),
        }.items()
    }
    doubtful = weights(world.teacher_probs[pool], loop(world, held_out, labelled, pool)(world.inputs[pool]))
    wrong = world.teacher_probs[pool].argmax(dim=1) != world.label[pool]
    assert doubtful[wrong].mean() < doubtful[~wrong].mean()
    assert found["wd"] > found["plain"] - 0.01, found
