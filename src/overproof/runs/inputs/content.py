"""Checks the options that depend on the content of the data, once it is read and before any teacher answers."""

from overproof.models import is_estimator, resolved
from overproof.models.importing import imported
from overproof.runs.experiment import Experiment
from overproof.runs.roles import SeedRoles, check_budgets
from overproof.training.estimators import check_fittable


def check_content(experiment: Experiment, class_names: tuple[str, ...], roles: SeedRoles) -> None:
    """Check corruptions by class, the student's options and budgets against the examples.

    Args:
        experiment: All of a run.
        class_names: The shared classes in order.
        roles: The examples of its first seed.

    Raises:
        InputError: An option does not fit them.
    """
    experiment.data.label_noise.check(class_names)
    experiment.teacher.spoil.check(class_names)
    name = experiment.student.name
    if ":" in name and is_estimator(imported(name, what="student")):
        for row in experiment.rows():
            check_fittable(name, experiment.method_of(row), experiment.train_options(row))
    check_budgets(experiment.rows(), roles.pool)
    resolved(experiment.student.spec, roles.test if len(roles.test) else next(iter(roles.by_role().values())))
