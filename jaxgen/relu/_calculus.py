"""Networks from networks: each function returns a network whose realization is exactly the mathematical one.

Counts are stated through `network.sizes` (all layer dimensions), `M` (connectivity) and `nnz` (nonzero
entries), and hold exactly; depth and width follow from the sizes. All work is done on the host in float64;
the result has the widest of the arguments' float types, so merged weights are rounded once. The functions do
not run under `jit`.

Source: theory, section 1; Elbraechter, Perekrestenko, Grohs, Boelcskei, "Deep Neural Network Approximation
Theory" (2021), section 2.
"""

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jaxtyping import ArrayLike, DTypeLike, Real

from ._network import MatrixLike, ReLUNetwork, VectorLike

_Layer: TypeAlias = tuple[Any, np.ndarray]  # (sparse matrix, bias); SciPy's stubs do not know their products

# Products of touching maps that need more multiplications than this are only formed if they can be the
# smaller choice.
_CHEAP_PRODUCT = 10_000_000


def affine(weight: MatrixLike, bias: VectorLike | None = None, *, dtype: DTypeLike | None = None) -> ReLUNetwork:
    """The depth-1 network `x -> weight x + bias`.

    Arguments and errors as for a layer of `ReLUNetwork`. **Counts:** sizes `(in, out)`, `M = nnz(weight) +
    nnz(bias)`.
    """
    return ReLUNetwork([(weight, bias)], dtype=dtype)


def compose(
    outer: ReLUNetwork, inner: ReLUNetwork, merge: bool | None = None, *, nonnegative: bool = False
) -> ReLUNetwork:
    """The network `x -> outer(inner(x))`.

    Let `(A, a)` be the first layer of `outer`, `(B, b)` the last of `inner`, and `k` the dimension between
    them.

    **Arguments:**

    - `merge`: `True` replaces the two touching maps by their product `(A B, A b + a)`. `False` keeps them
        apart with `x = rho(x) - rho(-x)`. `None` takes whichever has the smaller connectivity, merging on a
        tie.
    - `nonnegative`: promises that the outputs of `inner` are nonnegative, so that maps kept apart need `k`
        neurons and not `2k`. (Where the promise is broken the result is `outer(rho(inner(x)))`.)

    **Counts:**

    | | sizes | `M - M(outer) - M(inner)` |
    |---|---|---|
    | merged | `inner.sizes[:-1] + outer.sizes[1:]` | `nnz(A B) + nnz(A b + a) - nnz(A, a, B, b)` |
    | apart | `inner.sizes[:-1] + (2k,) + outer.sizes[1:]` | `nnz(A) + nnz(B, b)` |
    | apart, nonnegative | `inner.sizes[:-1] + (k,) + outer.sizes[1:]` | `0` |

    **Raises:** `ValueError` if `inner.out_size != outer.in_size`.
    """
    if inner.out_size != outer.in_size:
        raise ValueError(
            f"inner has {inner.out_size} outputs, outer expects {outer.in_size} inputs: they must be equal."
        )
    *before, last = inner.layers_as_scipy()
    first, *after = outer.layers_as_scipy()
    if nonnegative:
        apart = [last, first]
    else:
        apart = [_signed(last), (sp.hstack([first[0], -first[0]], format="csr"), first[1])]
    if merge is None:
        merge = _merging_is_smaller(first, last, _count(apart))
    touching = [_product(first, last)] if merge else apart
    return ReLUNetwork([*before, *touching, *after], dtype=_common_dtype(outer, inner))


def pad_depth(network: ReLUNetwork, depth: int, *, nonnegative: bool = False) -> ReLUNetwork:
    """The same map with exactly `depth` layers: identities are appended after the output.

    **Arguments:**

    - `depth`: at least `network.depth`; equal to it, the network itself is returned.
    - `nonnegative`: promises nonnegative outputs, so that the identity takes one neuron per output and not
        two. (Where the promise is broken the result is `rho(network(x))`.)

    **Counts**, for `k = depth - network.depth > 0`, `m` outputs and last layer `(B, b)`: sizes
    `network.sizes[:-1] + (2m,) * k + (m,)` and `M(network) + nnz(B, b) + 2 m k`; if nonnegative, sizes
    `network.sizes + (m,) * k` and `M(network) + m k`.

    **Raises:** `ValueError` if `depth < network.depth`.
    """
    depth = operator.index(depth)
    extra = depth - network.depth
    if extra < 0:
        raise ValueError(f"depth is {depth}: the network has depth {network.depth} already, and cannot be shortened.")
    if extra == 0:
        return network
    *layers, last = network.layers_as_scipy()
    unit = sp.eye_array(network.out_size, format="csr")
    if nonnegative:
        layers += [last, *[(unit, None)] * extra]
    else:
        # On (rho(x), rho(-x)) the identity is a plain one, so every further layer has 2m entries, not 4m.
        both = sp.eye_array(2 * network.out_size, format="csr")
        layers += [
            _signed(last),
            *[(both, None)] * (extra - 1),
            (sp.hstack([unit, -unit], format="csr"), None),
        ]
    return ReLUNetwork(layers, dtype=network.dtype)


def parallel(*networks: ReLUNetwork, nonnegative: bool = False) -> ReLUNetwork:
    """The block-diagonal network `(x_1, x_2, ...) -> (f_1(x_1), f_2(x_2), ...)`, each on its own input.

    Shorter networks are padded at their outputs to the largest depth; `nonnegative` as in `pad_depth`, for
    all of them.

    **Counts**, after padding: sizes are the sums of the sizes, layer by layer; `M = sum_i M(f_i)`.

    **Raises:** `ValueError` if no network is given.
    """
    padded = _equally_deep(networks, nonnegative)
    layers = [
        (
            sp.block_diag([weight for weight, _ in same_level], format="csr"),
            np.concatenate([b for _, b in same_level]),
        )
        for same_level in zip(*(network.layers_as_scipy() for network in padded), strict=True)
    ]
    return ReLUNetwork(layers, dtype=_common_dtype(*networks))


def concatenate(*networks: ReLUNetwork, nonnegative: bool = False) -> ReLUNetwork:
    """The network `x -> (f_1(x), f_2(x), ...)` on a shared input.

    **Counts:** as for `parallel`, except that the input dimension is the shared one, `sizes[0] =
    f_i.in_size`.

    **Raises:** `ValueError` if no network is given or their input dimensions differ.
    """
    together = parallel(*networks, nonnegative=nonnegative)
    _check_equal("input", [network.in_size for network in networks])
    copies = sp.vstack([sp.eye_array(networks[0].in_size, format="csr")] * len(networks), format="csr")
    return compose(together, affine(copies, dtype=together.dtype), merge=True)


def add(
    *networks: ReLUNetwork, coefficients: Real[ArrayLike, " n"] | Sequence | None = None, nonnegative: bool = False
) -> ReLUNetwork:
    """The linear combination `x -> sum_i c_i f_i(x)` on a shared input.

    **Arguments:**

    - `coefficients`: one real number per network; all 1 if not given.
    - `nonnegative`: as in `pad_depth`, for the `f_i` (not for `c_i f_i`).

    **Counts:** as for `concatenate`, except in the last layer. With `(B_i, b_i)` the last layers after
    padding, it has `nnz([c_1 B_1, c_2 B_2, ...]) + nnz(sum_i c_i b_i)` entries, where `[...]` stands side by
    side at depth > 1 and is the sum at depth 1; the last size is the shared output dimension.

    **Raises:** `ValueError` if no network is given, if input or output dimensions differ, or if the
    coefficients are not as many finite numbers as networks.
    """
    together = concatenate(*networks, nonnegative=nonnegative)
    _check_equal("output", [network.out_size for network in networks])
    factors = np.ones(len(networks)) if coefficients is None else np.asarray(coefficients, dtype=np.float64)
    if factors.shape != (len(networks),) or not np.isfinite(factors).all():
        raise ValueError(f"coefficients is {coefficients!r}: expected {len(networks)} finite numbers, one per network.")
    unit = sp.eye_array(networks[0].out_size, format="csr")
    return compose(affine(sp.hstack([c * unit for c in factors]), dtype=together.dtype), together, merge=True)


def _signed(layer: _Layer) -> _Layer:
    """The layer for `(y, -y)` instead of `y`."""
    weight, bias = layer
    return sp.vstack([weight, -weight], format="csr"), np.concatenate([bias, -bias])


def _product(outer: _Layer, inner: _Layer) -> _Layer:
    return sp.csr_array(outer[0] @ inner[0]), outer[0] @ inner[1] + outer[1]


def _count(layers: Sequence[_Layer]) -> int:
    return sum(weight.nnz + int(np.count_nonzero(bias)) for weight, bias in layers)


def _merging_is_smaller(outer: _Layer, inner: _Layer, apart: int) -> bool:
    # Neuron j between the maps contributes a full rectangle of column_j x row_j entries to the product.
    # Without cancellation the product holds the largest rectangle, and it takes the sum of all to compute: a
    # product that is both costly and certain to be larger is not formed (10^5 x 1 times 1 x 10^5 would fill
    # the memory).
    columns = np.bincount(outer[0].indices, minlength=outer[0].shape[1]).astype(np.int64)
    rectangles = columns * np.diff(inner[0].indptr)
    if rectangles.sum() > _CHEAP_PRODUCT and rectangles.max() > apart:
        return False
    return _count([_product(outer, inner)]) <= apart


def _equally_deep(networks: Sequence[ReLUNetwork], nonnegative: bool) -> list[ReLUNetwork]:
    if not networks:
        raise ValueError("networks is empty: give at least one ReLUNetwork.")
    depth = max(network.depth for network in networks)
    return [pad_depth(network, depth, nonnegative=nonnegative) for network in networks]


def _check_equal(side: str, sizes: Sequence[int]) -> None:
    if len(set(sizes)) > 1:
        raise ValueError(f"networks have {side} dimensions {list(sizes)}: they must be equal.")


def _common_dtype(*networks: ReLUNetwork) -> np.dtype:
    return reduce(jnp.promote_types, (network.dtype for network in networks))
