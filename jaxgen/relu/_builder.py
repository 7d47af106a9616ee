"""A network in the making: layers are written as combinations of named signals, in blocks of any size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import scipy.sparse as sp
from jaxtyping import ArrayLike, DTypeLike, Float, Real

from .._checks import whole_number
from ._network import ReLUNetwork

# Products of touching maps that need more multiplications than this are only formed if they can be the
# smaller choice.
_CHEAP_PRODUCT = 10_000_000


@dataclass(frozen=True, eq=False)
class _Level:
    """The inputs or one hidden layer of one network in the making; its identity tells stale signals from current."""

    number: int
    size: int


@dataclass(frozen=True, eq=False)
class Signal:
    """A block of `k` affine combinations of the neurons of the last layer of a `NetworkBuilder`.

    Blocks are added, subtracted, and multiplied or divided by numbers and `(k,)` arrays, row by row; a block of one
    row fits any other. A matrix `(r, k)`, dense or sparse, times a block is a block of `r` rows. `block[index]` takes
    rows out, by a slice, an array of indices or of booleans, or an integer (for a block of one row).

    **Arguments:**

    - `matrix`: `(k, n)` for the `n` neurons of the last layer, sparse; `bias`: `(k,)`; both float64.
    - `level`: the layer it stands on; signals come from a `NetworkBuilder` and not from this constructor.

    **Raises:** `ValueError` where signals of different layers are combined, or blocks whose lengths do not fit.

    **Example:**

        >>> from jaxgen.relu import NetworkBuilder
        >>> u = NetworkBuilder(u=1)["u"]
        >>> steps = 3 * u - [0.0, 1.0, 2.0]
        >>> len(steps), steps.bias.tolist(), steps[1:].sum().bias.tolist()
        (3, [0.0, -1.0, -2.0], [-3.0])
    """

    matrix: sp.csr_array
    bias: Float[np.ndarray, " k"]
    level: _Level

    __array_ufunc__ = None  # so that NumPy leaves `array * signal` and `array @ signal` to the methods below

    if not TYPE_CHECKING:  # where an `__array__` would make every product with an array an array

        def __array__(self, dtype=None, copy=None) -> np.ndarray:
            # An object and no sequence of rows: SciPy, too, leaves `matrix @ signal` to the method below.
            array = np.empty((), object)
            array[()] = self
            return array

    def __len__(self) -> int:
        return len(self.bias)

    def __getitem__(self, index: Any) -> "Signal":
        rows = np.atleast_1d(np.arange(len(self))[index])
        return Signal(self.matrix[rows], self.bias[rows], self.level)

    def repeat(self, n: int) -> "Signal":
        """A block of one row, `n` times. **Raises:** `ValueError` for a block of more rows, or none.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> len(NetworkBuilder(u=1)["u"].repeat(3))
            3
        """
        if len(self) != 1:
            raise ValueError(f"only a block of one row can be repeated; this one has {len(self)} rows")
        return self[np.zeros(whole_number(n, "n"), int)]

    def sum(self) -> "Signal":
        """The sum of all rows, a block of one.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> NetworkBuilder(x=3)["x"].sum().matrix.toarray().tolist()
            [[1.0, 1.0, 1.0]]
        """
        return np.ones((1, len(self))) @ self

    def add_at(self, index: Any, size: int) -> "Signal":
        """Row i is added to row `index[i]` of a block of `size` rows: the adjoint of `block[index]`.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> x = NetworkBuilder(x=3)["x"]
            >>> x.add_at([0, 2, 0], 3).matrix.toarray().tolist()
            [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        """
        index = np.asarray(index, int)
        if index.shape != (len(self),):
            raise ValueError(f"index has shape {index.shape}: expected ({len(self)},), one entry a row")
        scatter = sp.csr_array((np.ones(len(self)), (index, np.arange(len(self)))), shape=(size, len(self)))
        return scatter @ self

    def __neg__(self) -> "Signal":
        return Signal(-self.matrix, -self.bias, self.level)

    def __add__(self, other: "Signal | ArrayLike | Sequence") -> "Signal":
        if isinstance(other, Signal):
            if self.level is not other.level:
                raise ValueError(
                    f"a signal of layer {self.level.number} is combined with one of layer {other.level.number} "
                    "(0 is the inputs), or of another network: pass it on, net.layer(x=net['x'], ...), and take "
                    "net['x'] afterwards"
                )
            size = _common_length(len(self), len(other))
            left, right = self._of_length(size), other._of_length(size)
            return Signal(sp.csr_array(left.matrix + right.matrix), left.bias + right.bias, self.level)
        values = _vector(other)
        left = self._of_length(_common_length(len(self), *values.shape))
        return Signal(left.matrix, left.bias + values, self.level)

    def __mul__(self, other: ArrayLike | Sequence) -> "Signal":
        return self._scaled(np.multiply, _vector(other))

    def __truediv__(self, other: ArrayLike | Sequence) -> "Signal":
        return self._scaled(np.divide, _vector(other))

    def __sub__(self, other: "Signal | ArrayLike | Sequence") -> "Signal":
        return self + (-other if isinstance(other, Signal) else -_vector(other))

    def __rsub__(self, other: ArrayLike | Sequence) -> "Signal":
        return -self + other

    __radd__, __rmul__ = __add__, __mul__

    def __rmatmul__(self, matrix: Any) -> "Signal":
        factor: Any = sp.csr_array(matrix if sp.issparse(matrix) else np.atleast_2d(np.asarray(matrix, np.float64)))
        if factor.shape[1] != len(self):
            raise ValueError(f"a matrix of shape {factor.shape} does not fit a block of {len(self)} rows")
        return Signal(sp.csr_array(factor @ self.matrix), factor @ self.bias, self.level)

    def _scaled(self, operation: Callable[..., np.ndarray], factors: np.ndarray) -> "Signal":
        block = self._of_length(_common_length(len(self), *factors.shape))
        matrix, factors = block.matrix, np.broadcast_to(factors, len(block))
        data = operation(matrix.data, np.repeat(factors, np.diff(matrix.indptr)))
        scaled = sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
        return Signal(scaled, operation(block.bias, factors), self.level)

    def _of_length(self, size: int) -> "Signal":
        return self if len(self) == size else self.repeat(size)


def stack(*signals: Signal) -> Signal:
    """The rows of all `signals`, one block behind the other.

    **Raises:** `ValueError` without a signal, and for signals of different layers.

    **Example:**

        >>> from jaxgen.relu import NetworkBuilder, stack
        >>> net = NetworkBuilder(c=2, u=1)
        >>> len(stack(net["c"], 2 * net["u"]))
        3
    """
    if not signals:
        raise ValueError("there is nothing to stack: give at least one signal")
    level = signals[0].level
    if any(signal.level is not level for signal in signals):
        raise ValueError(f"signals of layers {[s.level.number for s in signals]} cannot be stacked: they must be equal")
    matrix = sp.vstack([signal.matrix for signal in signals], format="csr")
    return Signal(sp.csr_array(matrix), np.concatenate([signal.bias for signal in signals]), level)


class NetworkBuilder:
    """Builds a `ReLUNetwork` layer by layer from named blocks of signals.

    Every layer forgets all names but its own: what a later layer needs is passed on, by `carry` if it is nonnegative.
    A row without weights is a constant and takes no neuron. (A layer of constants alone has one neuron without
    weights, because no layer of a network is empty.)

    **Arguments:**

    - `inputs`: the named blocks of the input and their sizes, in order: `NetworkBuilder(label=10, u=1)`.

    **Raises:** `ValueError` for signals that belong to an earlier layer or to another network, and for no inputs.

    **Example:** the tent `2 rho(x) - 4 rho(x - 1/2) + 2 rho(x - 1)`, times a second input between 0 and 1, switched off
    where that is 0.

        >>> from jaxgen.relu import NetworkBuilder
        >>> net = NetworkBuilder(x=1, on=1)
        >>> x = net["x"]
        >>> net.layer(kinks=x - [0, 0.5, 1], **net.carry("on"))
        >>> net.define(tent=[[2, -4, 2]] @ net["kinks"])
        >>> net.layer(y=net["tent"] + net["on"] - 1)
        >>> network = net.network(net["y"])
        >>> network.sizes, network.connectivity
        ((2, 4, 1, 1), 12)
        >>> float(network([0.25, 1.0])[0]), float(network([0.25, 0.0])[0])
        (0.5, 0.0)
    """

    def __init__(self, /, **inputs: SupportsIndex | object):
        sizes = [whole_number(size, name) for name, size in inputs.items()]
        total = sum(sizes)
        if total == 0:
            raise ValueError("inputs is empty: a network has at least one input, as in NetworkBuilder(u=1)")
        self._pairs: list[tuple[sp.csr_array, np.ndarray]] = []
        self._level = _Level(0, total)
        units = Signal(sp.csr_array(sp.eye_array(total, format="csr")), np.zeros(total), self._level)
        self._signals = dict(zip(inputs, _split(units, sizes), strict=True))

    def __getitem__(self, name: str) -> Signal:
        """The signal of that name on the last layer. **Raises:** `KeyError` if there is none."""
        if name not in self._signals:
            raise KeyError(f"no signal {name!r} on layer {self._level.number}: it has {sorted(self._signals)}")
        return self._signals[name]

    def carry(self, *names: str) -> dict[str, Signal]:
        """`{name: self[name]}`, to pass nonnegative signals on: `net.layer(**net.carry("u", "x"), on=...)`.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> net = NetworkBuilder(u=1, x=2)
            >>> net.layer(**net.carry("u"), on=net["x"].sum())
            >>> len(net["u"]), len(net["on"])
            (1, 1)
        """
        return {name: self[name] for name in names}

    def constant(self, values: Real[ArrayLike, "*k"] | Sequence) -> Signal:
        """A block of constants on the last layer, one row a value.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> NetworkBuilder(u=1).constant([1.0, 2.0]).bias.tolist()
            [1.0, 2.0]
        """
        bias = np.atleast_1d(_vector(values)).copy()
        return Signal(sp.csr_array((len(bias), self._level.size)), bias, self._level)

    def define(self, /, **signals: Signal) -> None:
        """Gives names to combinations of the last layer's neurons; no layer is added.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> net = NetworkBuilder(u=1)
            >>> net.define(twice=2 * net["u"])
            >>> net["twice"].matrix.toarray().tolist()
            [[2.0]]
        """
        self._check(signals)
        self._signals.update(signals)

    def layer(self, /, **neurons: Signal) -> None:
        """Adds the layer `rho(signal)`; from then on each name stands for its neurons, and nothing else is kept.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> net = NetworkBuilder(u=1)
            >>> net.layer(positive=net["u"], negative=-net["u"])
            >>> net.network(net["positive"] + net["negative"])(-2.0).tolist()  # the absolute value
            [2.0]
        """
        self._check(neurons)
        self._add_layer([], neurons)

    def apply(
        self,
        network: ReLUNetwork,
        signal: Signal,
        /,
        *,
        merge: bool | None = True,
        nonnegative: bool = False,
        **kept: Signal,
    ) -> Signal:
        """Runs a network on a signal: `network.depth - 1` layers with all its neurons, one more if not merged.

        **Arguments:**

        - `signal`: a block of `network.in_size` rows.
        - `merge`, `nonnegative`: whether the first affine map is merged with `signal`, as in `compose`.
        - `kept`: nonnegative signals that are passed on alongside, and keep their names; no others do.

        **Returns:** the outputs of the network, a block on the new last layer.

        **Raises:** `ValueError` if `signal` does not have `network.in_size` rows.

        **Example:** the product of `w` and one of the numbers 0 and 1, where the other input has passed a sawtooth.

            >>> from jaxgen.relu import NetworkBuilder, sawtooth
            >>> net = NetworkBuilder(x=1, w=1)
            >>> folded = net.apply(sawtooth(3), net["x"], w=net["w"])
            >>> net.layer(product=folded + net["w"] - 1)
            >>> float(net.network(net["product"])([0.125, 0.75])[0])
            0.75
        """
        self._check({"signal": signal, **kept})
        if len(signal) != network.in_size:
            raise ValueError(f"signal has {len(signal)} rows, the network expects {network.in_size} inputs")
        layers: list[tuple[Any, np.ndarray]] = network.layers_as_scipy()
        apart = [signal] if nonnegative else [signal, -signal]
        if merge is None:
            merge = _merging_is_smaller(layers[0], signal, len(apart))
        self._signals = dict(kept)
        if not merge:
            positive, *negative = self._add_layer(apart, kept)
            signal = positive - negative[0] if negative else positive
        for weight, bias in layers[:-1]:
            (signal,) = self._add_layer([weight @ signal + bias], self._signals)
        weight, bias = layers[-1]
        return weight @ signal + bias

    def network(self, output: Signal, dtype: DTypeLike | None = None) -> ReLUNetwork:
        """The network that ends with the affine map `output`, stored in `dtype`; the default float of JAX if not given.

        **Raises:** `ValueError` and `TypeError` as `ReLUNetwork`.

        **Example:**

            >>> from jaxgen.relu import NetworkBuilder
            >>> net = NetworkBuilder(u=1)
            >>> net.network(3 * net["u"] + 1)(2.0).tolist()
            [7.0]
        """
        self._check({"output": output})
        return ReLUNetwork([*self._pairs, (output.matrix, output.bias)], dtype=dtype)

    def _add_layer(self, blocks: Sequence[Signal], named: Mapping[str, Signal]) -> list[Signal]:
        """Adds `rho` of `blocks`, constants included, and of `named`; returns the neurons of `blocks`."""
        parts = [*blocks, *named.values()]
        whole = stack(self.constant([]), *parts)
        weights, bias = whole.matrix.copy(), whole.bias
        weights.eliminate_zeros()
        active = np.diff(weights.indptr) > 0
        active[: sum(map(len, blocks))] = True
        neurons = int(active.sum())
        if neurons:
            self._pairs.append((weights[active], bias[active]))
        else:
            self._pairs.append((sp.csr_array((1, self._level.size)), np.zeros(1)))
        self._level = _Level(self._level.number + 1, max(neurons, 1))
        rows = np.ones(neurons), np.arange(neurons), np.append(0, np.cumsum(active))
        units = sp.csr_array(rows, shape=(len(active), self._level.size))
        constants = np.where(active, 0.0, np.maximum(bias, 0))
        new = _split(Signal(units, constants, self._level), [len(part) for part in parts])
        self._signals = dict(zip(named, new[len(blocks) :], strict=True))
        return new[: len(blocks)]

    def _check(self, signals: Mapping[str, Any]) -> None:
        for name, signal in signals.items():
            if not isinstance(signal, Signal):
                raise TypeError(f"{name} is a {type(signal).__name__}: expected a Signal, as net.constant makes one")
            if signal.level is not self._level:
                raise ValueError(
                    f"{name} is a signal of layer {signal.level.number} (0 is the inputs) or of another network, and "
                    f"the last layer is {self._level.number}: pass it on, net.layer({name}=net[{name!r}], ...)"
                )


def _split(signal: Signal, sizes: Sequence[int]) -> list[Signal]:
    ends = np.cumsum(sizes)
    return [signal[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _vector(values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        raise ValueError(f"a signal takes numbers and vectors, one entry a row; got shape {array.shape}")
    return array


def _common_length(first: int, second: int = 1) -> int:
    if first != second and 1 not in (first, second):
        raise ValueError(f"{second} rows do not fit a block of {first} rows")
    return second if first == 1 else first


def _merging_is_smaller(outer: tuple[Any, np.ndarray], signal: Signal, copies: int) -> bool:
    """Whether the product of two touching maps has at most as many entries as both apart, each `copies` times."""
    weight, inner = outer[0], signal.matrix
    apart = copies * (weight.nnz + np.count_nonzero(inner.data) + np.count_nonzero(signal.bias))
    apart += np.count_nonzero(outer[1])
    # Neuron j between the maps contributes a full rectangle of column_j x row_j entries to the product.
    # Without cancellation the product holds the largest rectangle, and it takes the sum of all to compute: a
    # product that is both costly and certain to be larger is not formed (10^5 x 1 times 1 x 10^5 would fill
    # the memory).
    columns = np.bincount(weight.indices, minlength=weight.shape[1]).astype(np.int64)
    rectangles = columns * np.diff(inner.indptr)
    if rectangles.sum() > _CHEAP_PRODUCT and rectangles.max() > apart:
        return False
    merged = weight @ signal + outer[1]
    return bool(np.count_nonzero(merged.matrix.data) + np.count_nonzero(merged.bias) <= apart)
