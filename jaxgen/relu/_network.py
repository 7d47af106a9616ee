"""The ReLU network as an object of theory: affine maps with `max(x, 0)` between them, held sparsely."""

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jaxtyping import Array, ArrayLike, DTypeLike, Float, Int32, Real

# Anything NumPy can make into a matrix, or any `scipy.sparse` matrix or array.
MatrixLike: TypeAlias = Any
# Anything NumPy can make into a vector.
VectorLike: TypeAlias = Any


class SparseAffine(eqx.Module):
    """The affine map `x -> W x + b`, with the nonzero entries of `W` as sorted coordinates.

    **Attributes:**

    - `rows`, `cols`: `(nnz,)` int32, sorted by row and then by column, no pair twice.
    - `weights`: `(nnz,)`, the entries; `bias`: `(out_size,)`, dense.
    - `in_size`, `out_size`: the shape of `W` is `(out_size, in_size)`.

    **Example:**

        >>> import jax.numpy as jnp
        >>> from jaxgen.relu import SparseAffine
        >>> layer = SparseAffine([[1.0, 0.0], [2.0, 3.0]], [0.0, 1.0])
        >>> layer(jnp.array([1.0, 1.0])).tolist(), layer.weights.tolist()
        ([1.0, 6.0], [1.0, 2.0, 3.0])
    """

    rows: Int32[Array, " nnz"]
    cols: Int32[Array, " nnz"]
    weights: Float[Array, " nnz"]
    bias: Float[Array, " out_size"]
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    def __init__(self, weight: MatrixLike, bias: VectorLike | None = None, *, dtype: DTypeLike | None = None):
        """**Arguments:**

        - `weight`: `(out_size, in_size)`, a dense array or a `scipy.sparse` matrix. Entries given twice are
            added (as in SciPy), zeros are not stored.
        - `bias`: `(out_size,)`, or `None` for zero.
        - `dtype`: of the stored entries; the default float of JAX if not given.

        **Raises:** `ValueError` for a wrong shape, an empty matrix, NaN, infinity, or an entry too large for
        `dtype`; `TypeError` for entries that are not real numbers.
        """
        matrix, shape = _as_csr(weight)
        self.out_size, self.in_size = shape
        vector = np.zeros(self.out_size) if bias is None else _as_real("bias", bias)
        if vector.shape != (self.out_size,):
            raise ValueError(
                f"bias has shape {vector.shape}, expected ({self.out_size},) beside a weight of shape {shape}."
            )
        stored = _stored_dtype(dtype)
        self.rows = jax.device_put(np.repeat(np.arange(self.out_size, dtype=np.int32), np.diff(matrix.indptr)))
        self.cols = jax.device_put(matrix.indices.astype(np.int32))
        self.weights = jax.device_put(_checked_entries("weight", matrix.data, stored))
        self.bias = jax.device_put(_checked_entries("bias", vector, stored))

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        """`W x + b` for one `x` of shape `(in_size,)`."""
        # The constructor's indices are in bounds by construction: no masking needed, forward or backward.
        terms = self.weights * x.at[self.cols].get(mode="promise_in_bounds")
        sums = jax.ops.segment_sum(
            terms,
            self.rows,
            num_segments=self.out_size,
            indices_are_sorted=True,
            mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        )
        # The bias comes last: a folding layer `g(y) - 1/2` first forms `g(y)`, exactly, then shifts it.
        return sums + self.bias

    def as_scipy(self) -> tuple[sp.csr_array, np.ndarray]:
        """The float64 pair `(W, b)` on the host: `W` as `scipy.sparse.csr_array` without stored zeros.

        **Example:**

            >>> from jaxgen.relu import SparseAffine
            >>> matrix, bias = SparseAffine([[1.0, 0.0], [2.0, 3.0]], [0.0, 1.0]).as_scipy()
            >>> matrix.toarray().tolist(), bias.tolist()
            ([[1.0, 0.0], [2.0, 3.0]], [0.0, 1.0])
        """
        entries = np.asarray(self.weights).astype(np.float64)
        pointers = np.searchsorted(np.asarray(self.rows), np.arange(self.out_size + 1))
        matrix = sp.csr_array(
            (entries, np.array(self.cols), pointers.astype(np.int32)), shape=(self.out_size, self.in_size)
        )
        matrix.eliminate_zeros()
        return matrix, np.asarray(self.bias).astype(np.float64)


class ReLUNetwork(eqx.Module):
    """`A_L o rho o A_{L-1} o ... o rho o A_1` with affine `A_l` and `rho(x) = max(x, 0)`, none after `A_L`.

    A PyTree whose weights and biases are its float leaves: it runs under `jit`, `vmap` and `grad` (by the
    input, or by the weights with `equinox.filter_grad`). Source: theory, section 1.

    **Example:** the absolute value, of one number and of a batch.

        >>> import jax, jax.numpy as jnp
        >>> from jaxgen.relu import ReLUNetwork
        >>> network = ReLUNetwork([([[1], [-1]], None), ([[1, 1]], None)])
        >>> network(-2.0).tolist(), jax.vmap(network)(jnp.array([[-1.0], [3.0]])).tolist()
        ([2.0], [[1.0], [3.0]])
        >>> network.sizes, network.depth, network.connectivity, network.weight_magnitude
        ((1, 2, 1), 2, 4, 1.0)
    """

    layers: tuple[SparseAffine, ...]

    def __init__(
        self,
        layers: Sequence[tuple[MatrixLike, VectorLike | None]],
        *,
        dtype: DTypeLike | None = None,
    ):
        """**Arguments:**

        - `layers`: the pairs `(W_l, b_l)`, first to last; `W_l` of shape `(out, in)`, a dense array or a
            `scipy.sparse` matrix; `b_l` of shape `(out,)`, or `None` for zero.
        - `dtype`: of the stored entries; the default float of JAX if not given.

        **Raises:** `ValueError` if there is no layer, if the shapes do not chain, or if a layer is empty,
        holds NaN or infinity, or has an entry too large for `dtype`; `TypeError` for entries that are not
        real.
        """
        built = []
        for number, layer in enumerate(layers, start=1):
            try:
                weight, bias = layer
                built.append(SparseAffine(weight, bias, dtype=dtype))
            except (TypeError, ValueError) as error:
                raise type(error)(f"layers: in pair {number} (W, b), {error}") from error
        if not built:
            raise ValueError("layers is empty: a network has at least one affine map (W, b).")
        for number, (inner, outer) in enumerate(itertools.pairwise(built), start=1):
            if inner.out_size != outer.in_size:
                raise ValueError(
                    f"layers do not chain: layer {number} has {inner.out_size} outputs (rows of W), "
                    f"layer {number + 1} expects {outer.in_size} inputs (columns of W)."
                )
        self.layers = tuple(built)

    def __call__(self, x: Real[ArrayLike, "..."] | Sequence) -> Float[Array, " out_size"]:
        """Evaluate at one `x` of shape `(in_size,)`, or a scalar where `in_size == 1`. Batches: `jax.vmap`.

        **Returns:** shape `(out_size,)`, in the wider of the float types of `x` and the weights.

        **Raises:** `ValueError` for any other shape.
        """
        x = jnp.asarray(x)
        if x.shape == () and self.in_size == 1:
            x = x[None]
        if x.shape != (self.in_size,):
            raise ValueError(
                f"x has shape {x.shape}, expected ({self.in_size},) for one example: use jax.vmap for a batch."
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            x = x.astype(self.dtype)
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)

    @property
    def in_size(self) -> int:
        """Dimension of the input."""
        return self.layers[0].in_size

    @property
    def out_size(self) -> int:
        """Dimension of the output."""
        return self.layers[-1].out_size

    @property
    def sizes(self) -> tuple[int, ...]:
        """All layer dimensions `(in_size, hidden ..., out_size)`; there are `depth + 1`."""
        return (self.in_size, *(layer.out_size for layer in self.layers))

    @property
    def depth(self) -> int:
        """Number of affine maps, the last one included."""
        return len(self.layers)

    @property
    def width(self) -> int:
        """Largest layer dimension, input and output included."""
        return max(self.sizes)

    @property
    def connectivity(self) -> int:
        """Number of nonzero entries of all `W_l` and `b_l`; a stored zero is not counted. Not under `jit`."""
        return sum(int(np.count_nonzero(np.asarray(entries))) for entries in self._entries())

    @property
    def weight_magnitude(self) -> float:
        """Largest absolute value among the entries of all `W_l` and `b_l`. Not under `jit`."""
        return max(float(np.abs(np.asarray(entries)).max(initial=0)) for entries in self._entries())

    @property
    def dtype(self) -> np.dtype:
        """Float type of the stored entries."""
        return self.layers[0].weights.dtype

    def layers_as_scipy(self) -> list[tuple[sp.csr_array, np.ndarray]]:
        """The pairs `(W_l, b_l)` in float64 on the host, `W_l` as `scipy.sparse.csr_array`, no stored zeros.

        `ReLUNetwork(network.layers_as_scipy(), dtype=network.dtype)` gives the network back.

        **Example:**

            >>> from jaxgen.relu import hat
            >>> [matrix.toarray().tolist() for matrix, _ in hat().layers_as_scipy()]
            [[[1.0], [1.0], [1.0]], [[2.0, -4.0, 2.0]]]
        """
        return [layer.as_scipy() for layer in self.layers]

    def _entries(self) -> list[Array]:
        return [entries for layer in self.layers for entries in (layer.weights, layer.bias)]


def _as_csr(weight: MatrixLike) -> tuple[sp.csr_array, tuple[int, int]]:
    if not sp.issparse(weight):
        weight = _as_real("weight", weight)
    if len(weight.shape) != 2 or 0 in weight.shape:
        raise ValueError(
            f"weight has shape {weight.shape}: expected a matrix (out, in) with at least one row and column."
        )
    if np.issubdtype(weight.dtype, np.complexfloating):
        raise TypeError("weight holds complex numbers: expected real ones.")
    # A copy, because the three clean-ups below work in place and the argument belongs to the caller.
    matrix = sp.csr_array(weight, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix, (int(weight.shape[0]), int(weight.shape[1]))


def _as_real(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.complexfloating):
        raise TypeError(f"{name} holds complex numbers: expected real ones.")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} of dtype {array.dtype} cannot be read as real numbers.") from error


def _stored_dtype(dtype: DTypeLike | None) -> np.dtype:
    if dtype is None:
        return jnp.zeros(()).dtype
    stored = jnp.dtype(dtype)
    if not jnp.issubdtype(stored, jnp.floating):
        raise TypeError(f"dtype is {stored}: expected a floating-point type.")
    if jax.dtypes.canonicalize_dtype(stored) != stored:
        raise ValueError(f"dtype {stored} needs JAX's x64 mode: build under `jax.enable_x64(True)`.")
    return stored


def _checked_entries(name: str, entries: np.ndarray, dtype: np.dtype) -> np.ndarray:
    bad = np.count_nonzero(~np.isfinite(entries))
    if bad:
        raise ValueError(f"{name} has {bad} entries that are NaN or infinite: expected finite numbers.")
    largest = np.abs(entries).max(initial=0)
    if largest > jnp.finfo(dtype).max:
        raise ValueError(f"{name} reaches {largest:.3g}, too large for {dtype}: use a wider dtype or smaller weights.")
    return entries.astype(dtype)
