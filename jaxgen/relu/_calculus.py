"""Networks from networks: each function returns a network whose realization is exactly the mathematical one.

Counts are stated through `network.sizes` (all layer dimensions), `M` (connectivity) and `nnz` (nonzero
entries), and hold exactly; depth and width follow from the sizes. All work is done on the host in float64;
the result has the widest of the arguments' float types, so merged weights are rounded once. The functions do
not run under `jit`.

Source: theory, section 1; Elbraechter, Perekrestenko, Grohs, Boelcskei, "Deep Neural Network Approximation
Theory" (2021), section 2.
"""

from collections.abc import Sequence
from functools import reduce

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jaxtyping import ArrayLike, DTypeLike, Real

from .._checks import whole_number
from ._builder import NetworkBuilder, stack
from ._network import MatrixLike, ReLUNetwork, VectorLike


def affine(weight: MatrixLike, bias: VectorLike | None = None, *, dtype: DTypeLike | None = None) -> ReLUNetwork:
    """The depth-1 network `x -> weight x + bias`.

    Arguments and errors as for a layer of `ReLUNetwork`. **Counts:** sizes `(in, out)`, `M = nnz(weight) +
    nnz(bias)`.

    **Example:**

        >>> from jaxgen.relu import affine
        >>> affine([[1, 0, -2]], [3])([1.0, 5.0, 2.0]).tolist()
        [0.0]
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

    **Example:** one more fold.

        >>> from jaxgen.relu import compose, hat, sawtooth
        >>> folded = compose(hat(), sawtooth(2), merge=True)
        >>> folded.sizes == sawtooth(3).sizes, folded(0.125).tolist()
        (True, [1.0])
    """
    if inner.out_size != outer.in_size:
        raise ValueError(
            f"inner has {inner.out_size} outputs, outer expects {outer.in_size} inputs: they must be equal."
        )
    net = NetworkBuilder(x=inner.in_size)
    y = net.apply(inner, net["x"])
    z = net.apply(outer, y, merge=merge, nonnegative=nonnegative)
    return net.network(z, dtype=_common_dtype(outer, inner))


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

    **Example:**

        >>> from jaxgen.relu import hat, pad_depth
        >>> pad_depth(hat(), 4).sizes, pad_depth(hat(), 4, nonnegative=True).sizes
        ((1, 3, 2, 2, 1), (1, 3, 1, 1, 1))
    """
    depth, size = whole_number(depth, "depth"), network.out_size
    if depth < network.depth:
        raise ValueError(f"depth is {depth}: the network has depth {network.depth} already, and cannot be shortened.")
    if depth == network.depth:
        return network
    identity = NetworkBuilder(y=size)
    # On (rho(y), rho(-y)) the identity is a plain one, so every further layer has 2m entries, not 4m.
    identity.layer(y=identity["y"] if nonnegative else stack(identity["y"], -identity["y"]))
    for _ in range(depth - network.depth - 1):
        identity.layer(**identity.carry("y"))
    y = identity["y"]
    output = y if nonnegative else y[:size] - y[size:]
    return compose(identity.network(output, dtype=network.dtype), network, merge=True)


def parallel(*networks: ReLUNetwork, nonnegative: bool = False) -> ReLUNetwork:
    """The block-diagonal network `(x_1, x_2, ...) -> (f_1(x_1), f_2(x_2), ...)`, each on its own input.

    Shorter networks are padded at their outputs to the largest depth; `nonnegative` as in `pad_depth`, for
    all of them.

    **Counts**, after padding: sizes are the sums of the sizes, layer by layer; `M = sum_i M(f_i)`.

    **Raises:** `ValueError` if no network is given.

    **Example:**

        >>> from jaxgen.relu import affine, hat, parallel
        >>> parallel(hat(), affine([[3.0]]))([0.25, 2.0]).tolist()
        [0.5, 6.0]
    """
    if not networks:
        raise ValueError("networks is empty: give at least one ReLUNetwork.")
    depth = max(network.depth for network in networks)
    padded = [pad_depth(network, depth, nonnegative=nonnegative).layers_as_scipy() for network in networks]
    layers = [
        (sp.block_diag([weight for weight, _ in level], format="csr"), np.concatenate([bias for _, bias in level]))
        for level in zip(*padded, strict=True)
    ]
    return ReLUNetwork(layers, dtype=_common_dtype(*networks))


def concatenate(*networks: ReLUNetwork, nonnegative: bool = False) -> ReLUNetwork:
    """The network `x -> (f_1(x), f_2(x), ...)` on a shared input.

    **Counts:** as for `parallel`, except that the input dimension is the shared one, `sizes[0] =
    f_i.in_size`.

    **Raises:** `ValueError` if no network is given or their input dimensions differ.

    **Example:**

        >>> from jaxgen.relu import affine, concatenate, hat
        >>> concatenate(hat(), affine([[3.0]]))(0.25).tolist()
        [0.5, 0.75]
    """
    together = parallel(*networks, nonnegative=nonnegative)
    _check_equal("input", [network.in_size for network in networks])
    net = NetworkBuilder(x=networks[0].in_size)
    y = net.apply(together, stack(*[net["x"]] * len(networks)))
    return net.network(y, dtype=together.dtype)


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

    **Example:** Takagi's function, `sum_s 2^-s sawtooth(s)`, begun.

        >>> from jaxgen.relu import add, sawtooth
        >>> add(sawtooth(1), sawtooth(2), coefficients=[0.5, 0.25])(0.25).tolist()
        [0.5]
    """
    together = concatenate(*networks, nonnegative=nonnegative)
    _check_equal("output", [network.out_size for network in networks])
    factors = np.ones(len(networks)) if coefficients is None else np.asarray(coefficients, dtype=np.float64)
    if factors.shape != (len(networks),) or not np.isfinite(factors).all():
        raise ValueError(f"coefficients is {coefficients!r}: expected {len(networks)} finite numbers, one per network.")
    net = NetworkBuilder(x=together.in_size)
    y = net.apply(together, net["x"])
    total = sp.kron(factors[None], sp.eye_array(networks[0].out_size), format="csr") @ y
    return net.network(total, dtype=together.dtype)


def _check_equal(side: str, sizes: Sequence[int]) -> None:
    if len(set(sizes)) > 1:
        raise ValueError(f"networks have {side} dimensions {list(sizes)}: they must be equal.")


def _common_dtype(*networks: ReLUNetwork) -> np.dtype:
    return reduce(jnp.promote_types, (network.dtype for network in networks))
