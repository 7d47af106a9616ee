"""What was proven about a measure holds as long as its arrays, and is no part of its structure."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.measures import GridMeasure, LeafMeasure, QuantizedMeasure, Record, fingerprint


def on_grid(seed=0):
    rng = np.random.default_rng(seed)
    points, labels = rng.random((60, 2)), np.repeat(["a", "b"], 30)
    return GridMeasure.from_samples(points, 4, labels=labels, weights=rng.random(60), low=0, high=1).quantize(50)


def on_leaves(seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 6)
    corners, sides = rng.random((2, 12, 2)).astype(np.float32)
    return LeafMeasure(corners, sides, rng.random(12), labels, ("a", "b")).quantize(50)


both = pytest.mark.parametrize("make", [on_grid, on_leaves])


def changes(measure):
    """Every array of the measure, changed in one entry."""
    arrays, structure = jax.tree.flatten(measure)
    for i, array in enumerate(arrays):
        changed = list(arrays)
        changed[i] = np.array(array)
        changed[i].flat[0] += 1
        yield jax.tree.unflatten(structure, changed)


@both
def test_a_change_of_any_array_ends_the_proof(make):
    q = make()
    proven = q.proven("rounding")
    assert proven[0] > 0 and proven[1] >= proven[0]
    assert q.proven("rounding", "a") != q.proven("rounding", "b")
    for changed in changes(q):
        assert changed.proven("rounding") is None
        assert changed.proven("rounding", "a") is None
    assert len(list(changes(q))) >= 4
    # The same entries in new arrays, of another type, too, are the same measure.
    again = jax.tree.map(lambda array: jnp.array(array, copy=True), q)
    assert again.proven("rounding") == proven


def test_no_bound_is_given_for_what_was_changed():
    q = on_grid()
    assert q.rounding_bound(1, "b") == q.proven("rounding", "b")[0] > 0
    for where, value in [
        (lambda m: m.counts, q.counts[::-1]),
        (lambda m: m.low, q.low - 1),
        (lambda m: m.high, q.high * 2),
        (lambda m: m.cells, q.cells[::-1]),
    ]:
        changed = eqx.tree_at(where, q, value)
        for condition in (None, "a"):
            with pytest.raises(ValueError, match="changed since it was rounded: no bound holds"):
                changed.rounding_bound(2, condition)
        with pytest.raises(ValueError, match="changed since it was rounded: build it anew"):
            changed.quantize(20)
    with pytest.raises(ValueError, match="unknown label 'c'"):
        q.rounding_bound(2, "c")
    # Rounded once more, the sum is known for all labels together, and for each where it was before.
    again = q.quantize(20)
    once = rebuilt(q).quantize(20)
    for condition in (None, "a", "b"):
        assert again.rounding_bound(2, condition) == q.rounding_bound(2, condition) + once.rounding_bound(2, condition)
    unknown = rebuilt(q, Record({"rounding": q.proven("rounding")})).quantize(20)
    assert unknown.rounding_bound(2) == again.rounding_bound(2)
    with pytest.raises(ValueError, match="each label is not known"):
        unknown.rounding_bound(2, "a")


def rebuilt(q, record=None, **changes):
    """The same measure from its fields, with another record."""
    if isinstance(q, QuantizedMeasure):
        fields = {"cells": q.cells, "low": q.low, "high": q.high, "resolution": q.resolution}
    else:
        fields = {"low_corners": q.low_corners, "sides": q.sides}
    fields |= {"counts": q.counts, "labels": q.labels, "vocabulary": q.vocabulary, "record": record}
    return type(q)(**fields | changes)


@both
def test_what_was_never_rounded_has_nothing_to_prove(make):
    plain = rebuilt(make())
    for measure in (plain, *changes(plain)):
        assert measure.proven("rounding") == measure.proven("rounding", "a") == (0, 0)
    # The figures of a label are not known where only those of all are.
    known = rebuilt(plain, Record({"rounding": (1, 2)}))
    assert known.proven("rounding") == (1, 2) and known.proven("rounding", "a") is None
    assert known.proven("another") == (0, 0)


@both
def test_records_are_no_part_of_the_structure(make):
    one = make()
    corner = "high" if isinstance(one, QuantizedMeasure) else "sides"
    other = rebuilt(
        one, Record({"rounding": (3, 4)}, total=7), counts=np.roll(one.counts, 1), **{corner: getattr(one, corner) + 1}
    )
    assert other.proven("rounding") == (3, 4) != one.proven("rounding")
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert hash(jax.tree.structure(one)) == hash(jax.tree.structure(other))


def test_structures_of_measures_from_data():
    # Another number of points, another box, other masses; the same cells.
    one = GridMeasure.from_samples([0.0, 1.0, 2.0, 2.0], 3)
    other = GridMeasure.from_samples([5.0, 6.0, 6.0, 6.0, 8.0, 9.0], 3)
    assert (one.record.total, other.record.total) == (4, 6)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert jax.tree.structure(one.quantize(10)) == jax.tree.structure(other.quantize(99))
    assert jax.tree.structure(one) != jax.tree.structure(GridMeasure.from_samples([0.0, 1.0, 2.0, 2.0], 5))


def test_records_by_themselves():
    array = np.arange(3.0)
    record = Record({"rounding": (1, 2)}, total=5)
    assert record.holds(array) and record.of(array).holds(array.copy())
    assert not record.of(array).holds(array + 1)
    assert record.of(array).bounds == {"rounding": (1, 2)} and record.of(array).total == 5
    for different in (array.astype(np.float32), array[:2], array[:, None], array[::-1]):
        assert fingerprint([different]) != fingerprint([array])
    assert fingerprint([array, array]) != fingerprint([array])
    assert fingerprint([array[::-1]]) == fingerprint([array[::-1].copy()])
    for bad in ((-1, 0), (0, np.inf), (np.nan, 0)):
        with pytest.raises(ValueError, match="rounding must be two bounds"):
            Record({"rounding": bad})
