"""Every recipe is an experiment, and so is every setting of the recipe that runs many."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from overproof.runs.experiment import experiment_from

RECIPES = Path(__file__).parents[2] / "recipes"


# Those of a wild pool name a teacher in a folder that recipes/wild.py fills.
WITHOUT_FILES = sorted(path for path in RECIPES.glob("*.yaml") if not path.stem.startswith("wild_"))


@pytest.mark.parametrize("path", WITHOUT_FILES, ids=lambda path: path.stem)
def test_a_recipe_is_an_experiment(path):
    assert experiment_from(yaml.safe_load(path.read_text())).name


def test_the_settings_of_automatic_are_changes_of_recipes():
    spec = importlib.util.spec_from_file_location("automatic", RECIPES / "automatic.py")
    automatic = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(automatic)
    for name in automatic.SETTINGS:
        content = automatic.content_of(name, seeds=[0])
        assert experiment_from(content).name == name
    stacked = automatic.content_of("newsgroups_zero_shot_adapted", seeds=[0])
    assert [each.model for each in experiment_from(stacked).scorers] == ["auto", "auto", "adapter"]
