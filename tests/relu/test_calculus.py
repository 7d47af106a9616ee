"""Integer weights and dyadic inputs make every product exact: identities are tested with equality, not tolerance."""

from itertools import pairwise

import equinox as eqx
import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.relu import ReLUNetwork, add, affine, compose, concatenate, pad_depth, parallel, sawtooth

few = settings(max_examples=25, deadline=None)
small = st.integers(1, 3)
booleans = st.booleans()
seeds = st.integers(0, 2**32 - 1)


@st.composite
def networks(draw, in_size=small, out_size=small, max_depth=3):
    sizes = [draw(in_size), *draw(st.lists(small, max_size=max_depth - 1)), draw(out_size)]
    entries = st.sampled_from([0, 0, 1, -1, 2, -3])
    layers = []
    for columns, rows in pairwise(sizes):
        flat = draw(st.lists(entries, min_size=rows * (columns + 1), max_size=rows * (columns + 1)))
        table = np.array(flat, dtype=float).reshape(rows, columns + 1)
        layers.append((table[:, 1:], table[:, 0]))
    return ReLUNetwork(layers)


def dyadic(seed, *shape):
    return np.random.default_rng(seed).integers(-16, 16, shape) / 8


def realize(network, x):
    """The map on a batch, in NumPy and from the definition alone."""
    for weight, bias in network.layers_as_scipy()[:-1]:
        x = np.maximum(x @ weight.toarray().T + bias, 0)
    weight, bias = network.layers_as_scipy()[-1]
    return x @ weight.toarray().T + bias


def nnz(*arrays):
    return sum(np.count_nonzero(array) for array in arrays)


def dense(network, layer):
    weight, bias = network.layers_as_scipy()[layer]
    return weight.toarray(), bias


@pytest.mark.slow
@few
@given(st.data(), seeds)
def test_compose(data, seed):
    inner = data.draw(networks())
    outer = data.draw(networks(in_size=st.just(inner.out_size)))
    (A, a), (B, b), k = dense(outer, 0), dense(inner, -1), inner.out_size
    x = dyadic(seed, 20, inner.in_size)
    y = realize(inner, x)
    total = inner.connectivity + outer.connectivity

    merged = compose(outer, inner, merge=True)
    np.testing.assert_array_equal(realize(merged, x), realize(outer, y))
    assert merged.sizes == inner.sizes[:-1] + outer.sizes[1:]
    assert merged.connectivity == total + nnz(A @ B, A @ b + a) - nnz(A, a, B, b)

    apart = compose(outer, inner, merge=False)
    np.testing.assert_array_equal(realize(apart, x), realize(outer, y))
    assert apart.sizes == (*inner.sizes[:-1], 2 * k, *outer.sizes[1:])
    assert apart.connectivity == total + nnz(A, B, b)

    thin = compose(outer, inner, merge=False, nonnegative=True)
    np.testing.assert_array_equal(realize(thin, x), realize(outer, np.maximum(y, 0)))
    assert thin.sizes == (*inner.sizes[:-1], k, *outer.sizes[1:])
    assert thin.connectivity == total

    for nonnegative, other in ((False, apart), (True, thin)):
        chosen = compose(outer, inner, nonnegative=nonnegative)
        assert eqx.tree_equal(chosen, merged if merged.connectivity <= other.connectivity else other)


@few
@given(networks(), st.integers(0, 3), seeds)
def test_pad_depth(network, extra, seed):
    x = dyadic(seed, 20, network.in_size)
    m, k, (B, b) = network.out_size, extra, dense(network, -1)
    padded = pad_depth(network, network.depth + k)
    np.testing.assert_array_equal(realize(padded, x), realize(network, x))
    assert padded.depth == network.depth + k
    if k == 0:
        assert padded is network
        return
    assert padded.sizes == network.sizes[:-1] + (2 * m,) * k + (m,)
    assert padded.connectivity == network.connectivity + nnz(B, b) + 2 * m * k

    thin = pad_depth(network, network.depth + k, nonnegative=True)
    np.testing.assert_array_equal(realize(thin, x), np.maximum(realize(network, x), 0))
    assert thin.sizes == network.sizes + (m,) * k
    assert thin.connectivity == network.connectivity + m * k


@few
@given(st.lists(networks(), min_size=1, max_size=3), booleans, seeds)
def test_parallel(parts, nonnegative, seed):
    depth = max(part.depth for part in parts)
    padded = [pad_depth(part, depth, nonnegative=nonnegative) for part in parts]
    xs = [dyadic(seed + i, 20, part.in_size) for i, part in enumerate(parts)]
    together = parallel(*parts, nonnegative=nonnegative)
    expected = np.hstack([realize(part, x) for part, x in zip(padded, xs, strict=True)])
    np.testing.assert_array_equal(realize(together, np.hstack(xs)), expected)
    assert together.sizes == tuple(map(sum, zip(*(part.sizes for part in padded), strict=True)))
    assert together.connectivity == sum(part.connectivity for part in padded)


@few
@given(st.lists(networks(in_size=st.just(2)), min_size=1, max_size=3), booleans, seeds)
def test_concatenate(parts, nonnegative, seed):
    depth = max(part.depth for part in parts)
    padded = [pad_depth(part, depth, nonnegative=nonnegative) for part in parts]
    x = dyadic(seed, 20, 2)
    together = concatenate(*parts, nonnegative=nonnegative)
    np.testing.assert_array_equal(realize(together, x), np.hstack([realize(part, x) for part in padded]))
    assert together.sizes == (2, *map(sum, zip(*(part.sizes[1:] for part in padded), strict=True)))
    assert together.connectivity == sum(part.connectivity for part in padded)


@few
@given(st.data(), booleans, seeds)
def test_add(data, nonnegative, seed):
    parts = data.draw(st.lists(networks(in_size=st.just(2), out_size=st.just(2)), min_size=1, max_size=3))
    c = data.draw(st.lists(st.sampled_from([-2.0, 0.0, 0.5, 1.0]), min_size=len(parts), max_size=len(parts)))
    depth = max(part.depth for part in parts)
    padded = [pad_depth(part, depth, nonnegative=nonnegative) for part in parts]
    x = dyadic(seed, 20, 2)
    total = add(*parts, coefficients=c, nonnegative=nonnegative)
    np.testing.assert_array_equal(
        realize(total, x), sum(ci * realize(part, x) for ci, part in zip(c, padded, strict=True))
    )
    hidden = map(sum, zip(*(part.sizes[1:-1] for part in padded), strict=True))
    assert total.sizes == (2, *hidden, 2)
    scaled = [(ci * dense(part, -1)[0], ci * dense(part, -1)[1]) for ci, part in zip(c, padded, strict=True)]
    last = sum(B for B, _ in scaled) if depth == 1 else np.hstack([B for B, _ in scaled])
    before = sum(part.connectivity - nnz(*dense(part, -1)) for part in padded)
    assert total.connectivity == before + nnz(last, sum(b for _, b in scaled))


def test_add_without_coefficients_is_the_sum():
    total = add(sawtooth(1), sawtooth(2), sawtooth(0))
    x = np.arange(17)[:, None] / 16
    np.testing.assert_array_equal(realize(total, x), realize(sawtooth(1), x) + realize(sawtooth(2), x) + x)


def test_affine():
    network = affine([[1, 0, -2]], [3])
    assert (network.sizes, network.depth, network.connectivity) == ((3, 1), 1, 3)
    assert network(np.array([1.0, 5.0, 2.0])) == 0.0


@pytest.mark.slow
def test_results_run_under_jit_vmap_and_grad():
    network = compose(sawtooth(2), add(affine([[0.5, 0.25]]), affine([[0.0, 0.25]])), merge=False)
    x = np.random.default_rng(0).integers(0, 64, (10, 2)) / 64
    np.testing.assert_array_equal(jax.jit(jax.vmap(network))(x), realize(network, x))
    # g_2 has slope 4 up to the argument 1/4, and the argument here is (x_1 + x_2)/2.
    np.testing.assert_array_equal(jax.grad(lambda x: network(x)[0])(np.array([0.125, 0.125])), [2, 2])


def test_float_types_widen_and_never_narrow():
    single = sawtooth(1)
    with jax.enable_x64(True):
        third = affine([[1 / 3]])
        assert compose(single, third).dtype == np.float64
        assert pad_depth(single, 4).dtype == parallel(single, single).dtype == np.float32
        assert dense(compose(third, third), 0)[0].item() == (1 / 3) * (1 / 3)
    with pytest.raises(ValueError, match="x64"):
        compose(single, third)


def test_a_product_that_would_fill_the_memory_is_not_formed():
    size = 100_000
    wide, narrow = affine(np.ones((size, 1))), affine(np.ones((1, size)))
    network = compose(wide, narrow)
    assert network.sizes == (size, 2, size)
    assert network.connectivity == 4 * size
    assert compose(narrow, wide).connectivity == 1


def test_entries_that_cancel_in_a_product_are_not_counted():
    ones = np.ones((9, 1))
    network = compose(affine(ones @ [[1.0, -1.0]]), affine(np.ones((2, 9))))
    assert (network.depth, network.connectivity) == (1, 0)


@pytest.mark.parametrize("function", [parallel, concatenate, add])
def test_nothing_to_combine(function):
    with pytest.raises(ValueError, match="networks is empty"):
        function()


def test_bad_arguments():
    one, two = affine([[1.0]]), affine(np.eye(2))
    with pytest.raises(ValueError, match="inner has 2 outputs, outer expects 1"):
        compose(one, two)
    with pytest.raises(ValueError, match=r"input dimensions \[1, 2\]"):
        concatenate(one, two)
    with pytest.raises(ValueError, match=r"output dimensions \[1, 2\]"):
        add(one, affine([[1.0], [2.0]]))
    with pytest.raises(ValueError, match=r"coefficients.*2 finite"):
        add(one, one, coefficients=[1.0])
    with pytest.raises(ValueError, match="coefficients"):
        add(one, one, coefficients=[1.0, np.nan])
    with pytest.raises(ValueError, match=r"depth is 1.*depth 3"):
        pad_depth(sawtooth(2), 1)
    with pytest.raises(TypeError):
        pad_depth(one, 2.5)
