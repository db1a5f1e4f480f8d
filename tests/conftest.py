"""The same numbers whatever the order of the tests, the machine or the day; shapes are checked as they run."""

import functools
import gc
import inspect
import os

# Before torch and the tokenizers are imported: they read these once.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import settings

# Modules that stay until the end are made in the collection of tests; the garbage collector need not look through them.
gc.disable()

# Found examples are the same in every run, and a slow machine is no failure.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

FIRST_CALLS, THEN_EVERY = 3, 97
"""In every test the first calls of every function are checked, and one of so many after them: a training calls the same
functions thousands of times with the same kinds of arguments. (97 is no multiple of the steps of an epoch or of the
students of a run, so that in the long run calls of every kind are checked.)"""

_check, _test = jaxtyping.jaxtyped, [0]


def _checked(of: Any = None, *, typechecker: Any = None) -> Any:
    """What a module or a class defines is checked; a check of an inner function would be compiled in every call."""
    if of is None:
        return functools.partial(_checked, typechecker=typechecker)
    if "<locals>" in of.__qualname__:
        return of
    if not inspect.isclass(of):
        return _counted(of, lambda: _check(of, typechecker=typechecker))
    plain = of.__init__
    # A registered part checks its own options, as those of a user: a whole number may stand for a float.
    if not hasattr(plain, "__wrapped__"):
        _check(of, typechecker=typechecker)
        checked = of.__init__
        if checked is not plain:  # a dataclass
            of.__init__ = _counted(plain, lambda: checked)
    return of


def _counted(function: Any, checked: Any) -> Any:
    """Check the first calls in every test, and some of the others; a check is compiled at the first call."""
    check, test, calls = None, -1, 0

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        nonlocal check, test, calls
        __tracebackhide__ = True
        if test != _test[0]:
            test, calls = _test[0], 0
        calls += 1
        if calls > FIRST_CALLS and calls % THEN_EVERY:
            return function(*args, **options)
        if check is None:
            check = checked()
        return check(*args, **options)

    return call


# The import hook of `--jaxtyping-packages` finds the decorator by this name, as modules are imported.
jaxtyping.jaxtyped = _checked


@pytest.fixture(autouse=True)
def _seed():
    """Tests seed what they draw; what torch draws by itself (a layer's first weights) is seeded here."""
    torch.manual_seed(0)
    _test[0] += 1


def pytest_collection_finish():
    """The garbage collector leaves what is there now out for good, and works again."""
    gc.collect()
    gc.freeze()
    gc.enable()
