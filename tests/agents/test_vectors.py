"""Every vector of the specification, as a test of the function here that it speaks of."""

import inspect

import pytest

from tests.agents import (
    vectors,
    vectors_feeding,
    vectors_learning,
    vectors_models,
    vectors_numbers,
)

MODULES = (vectors_numbers, vectors_models, vectors_learning, vectors_feeding)
ALL = vectors.load()
# A check may not hide the module that it tests: `norms_` checks the entry `norms`.
CHECKS = {
    name.removesuffix("_"): check
    for module in MODULES
    for name, check in vars(module).items()
    if name.removesuffix("_") in ALL and inspect.isfunction(check)
}


def test_every_vector_has_a_check():
    assert len(ALL) == 50
    assert set(ALL) - set(CHECKS) == set()


@pytest.mark.parametrize("name", ALL)
def test_the_code_agrees_with_a_vector(name):
    assert ALL[name]["description"]
    check = CHECKS[name]
    check(*[ALL[name], ALL][: len(inspect.signature(check).parameters)])
