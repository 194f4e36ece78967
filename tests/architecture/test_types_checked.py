"""The annotations of pkpd are checked while the tests run: types, shapes that must agree, and functions inside functions."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Array, Float

from pkpd.model import available_models, load_model
from tests.typecheck import checked


@checked
def dot(a: Float[Array, " n"], b: Float[Array, " n"], scale: float = 1.0) -> Float[Array, ""]:
    return scale * jnp.dot(a, b)


@checked
def wrong_answer(a: Float[Array, " n"]) -> Float[Array, " n"]:
    return a[:-1]


@checked
@dataclasses.dataclass(frozen=True)
class Pair:
    name: str
    values: Float[Array, " n"]


def test_pkpd_is_checked():
    assert load_model(next(iter(available_models())))
    with pytest.raises(BeartypeCallHintViolation):
        load_model(3.5)


def test_shapes_agree_within_a_call_and_not_between_calls():
    two, three = jnp.ones(2), jnp.ones(3)
    assert dot(two, two, 2) == 4.0 and dot(three, three) == 3.0
    with pytest.raises(BeartypeCallHintViolation):
        dot(two, three)


def test_what_comes_back_is_checked():
    with pytest.raises(BeartypeCallHintViolation):
        wrong_answer(jnp.ones(3))


def test_fields_of_a_dataclass_are_checked():
    assert Pair("a", jnp.ones(2)).name == "a"
    with pytest.raises(BeartypeCallHintViolation):
        Pair("a", jnp.ones((2, 2)))


def test_a_call_inside_has_its_own_sizes():
    @checked
    def outer(a: Float[Array, " n"]) -> Float[Array, ""]:
        return dot(jnp.ones(7), jnp.ones(7)) + a.sum()

    assert outer(jnp.ones(2)) == 9.0
