"""Functions that small networks realize exactly: folds, ramps, stairs, piecewise-linear functions.

Source: theory, section 1.

Networks are stored in the default float of JAX; build them under `jax.enable_x64(True)` for float64.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Real

from .._checks import positive_number, real_number, whole_number
from ._builder import NetworkBuilder, Signal, stack
from ._network import ReLUNetwork


def hat() -> ReLUNetwork:
    """The tent `g(x) = 2 rho(x) - 4 rho(x - 1/2) + 2 rho(x - 1)`: 1 at 1/2, zero outside `[0, 1]`.

    **Counts:** sizes `(1, 3, 1)`, connectivity 8, weight magnitude 4. Exact in floating point, as `sawtooth`.

    **Example:**

        >>> from jaxgen.relu import hat
        >>> [float(hat()(x)[0]) for x in (-1.0, 0.25, 0.5, 1.0)]
        [0.0, 0.5, 1.0, 0.0]
    """
    return sawtooth(1)


def sawtooth(folds: int) -> ReLUNetwork:
    """The sawtooth `g_s = g o ... o g` (`s = folds` times `hat`): `2^(s-1)` teeth on `[0, 1]`, zero outside.

    It maps each of the `2^s` dyadic intervals linearly onto `[0, 1]`. For `s = 0` it is the identity, which
    is *not* zero outside `[0, 1]` and not at 1.

    **Arguments:**

    - `folds`: `s >= 0`.

    **Counts**, for `s >= 1`: sizes `(1, 3, ..., 3, 1)`, depth `s + 1`, connectivity `11 s - 3`, weight
    magnitude 4. For `s = 0`: sizes `(1, 1)`, connectivity 1.

    On a floating-point input every result is exact, bit for bit, for any number of folds: doubling does not
    round, nor does `1 - x` on `[1/2, 1]`. Each fold uses up one bit: a float32 in `[1/2, 1]` is a multiple of
    2^-24, so for `s >= 24` its image is always 0.

    **Raises:** `ValueError` if `folds < 0`.

    **Example:**

        >>> from jaxgen.relu import sawtooth
        >>> sawtooth(3).sizes, sawtooth(3)(0.125).tolist()
        ((1, 3, 3, 3, 1), [1.0])
    """
    net = NetworkBuilder(x=1)
    x = net["x"]
    for _ in range(whole_number(folds, "folds")):
        net.layer(kinks=x - [0, 0.5, 1])
        x = [[2, -4, 2]] @ net["kinks"]
    return net.network(x)


def triangle_wave(levels: int = 1) -> ReLUNetwork:
    """The base-3 wave `t_j = t o ... o t` (`j = levels` times) on `[0, 1]`.

    `t(x) = 3x - 2 rho(3x - 1) + 2 rho(3x - 2)` goes up, down, up between 0 and 1, and
    `t_j(1 - x) = 1 - t_j(x)`. All weights are integers. Outside `[0, 1]` the network gives 0 on the left and the
    continuation with slope `3^j` on the right; for `j = 0` it is the identity.

    **Arguments:**

    - `levels`: `j >= 0`.

    **Counts**, for `j >= 1`: sizes `(1, 3, ..., 3, 1)`, depth `j + 1`, connectivity `11 j - 3`, weight
    magnitude 6 (3 for `j = 1`). For `j = 0`: sizes `(1, 1)`, connectivity 1.

    **Raises:** `ValueError` if `levels < 0`.

    **Example:**

        >>> from jaxgen.relu import triangle_wave
        >>> [float(triangle_wave()(x)[0]) for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
        [0.0, 0.75, 0.5, 0.25, 1.0]
    """
    net = NetworkBuilder(x=1)
    x = net["x"]
    for _ in range(whole_number(levels, "levels")):
        net.layer(kinks=3 * x - [0, 1, 2])
        x = [[1, -2, 2]] @ net["kinks"]
    return net.network(x)


def ramp(start: float | int, width: float | int) -> ReLUNetwork:
    """A jump from 0 to 1 as a clipped ramp: `min(max((x - a)/tau, 0), 1)`, `a = start`, `tau = width`.

    Its two layers are those of `clip_inner` and `clip_outer`. In floating point the ramp itself moves by a few
    roundings of `a`; beyond, the values are exactly 0 and exactly 1.

    **Counts:** sizes `(1, 1, 1, 1)`, connectivity `4 + [a != -tau]`, weight magnitude `max(1/tau, |1 + a/tau|, 1)`.

    **Raises:** `ValueError` if `width` is not positive and finite, if `start` is not finite, or if `1/width`
    overflows.

    **Example:**

        >>> from jaxgen.relu import ramp
        >>> [float(ramp(0.5, 0.25)(x)[0]) for x in (0.0, 0.5, 0.625, 0.75, 100.0)]
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    return staircase([real_number(start, "start")], [positive_number(width, "width")], [1.0])


def clip_inner(v: Signal, start: Real[ArrayLike, "..."] | Sequence, width: Real[ArrayLike, "..."] | Sequence) -> Signal:
    """The inner half of a clipped ramp `min(max((v - start)/width, 0), 1) = rho(1 - rho(1 - (v - start)/width))`.

    Two layers instead of the two neurons of section 1, `rho(z) - rho(z - 1)`, and in exchange exactly 0 and exactly 1
    outside the ramp in floating point too, where a difference of two large numbers leaves noise.

    **Arguments:**

    - `v`: a block; `start`, `width`: numbers or vectors, one entry a row (a block of one row fits any vector).

    **Returns:** `1 - (v - start)/width`, for a layer; `clip_outer` takes its neurons.

    **Example:**

        >>> from jaxgen.relu import NetworkBuilder, clip_inner, clip_outer
        >>> net = NetworkBuilder(u=1)
        >>> net.layer(half=clip_inner(net["u"], [0.0, 1.0], [0.5, 1.0]))
        >>> net.layer(step=clip_outer(net["half"]))
        >>> net.network(net["step"])(1.25).tolist()
        [1.0, 0.25]
    """
    with np.errstate(over="ignore"):  # an overflow is refused by the network
        return 1 - (v - start) / width


def clip_outer(inner: Signal) -> Signal:
    """The outer half of a clipped ramp, `1 - inner`, for the layer after the one that holds `clip_inner`.

    **Example:** `clip_inner` has a longer one.

        >>> from jaxgen.relu import NetworkBuilder, clip_outer
        >>> clip_outer(NetworkBuilder(half=1)["half"]).bias.tolist()
        [1.0]
    """
    return 1 - inner


def staircase(
    starts: Real[ArrayLike, " m"] | Sequence,
    widths: Real[ArrayLike, " m"] | Sequence,
    rises: Real[ArrayLike, "m *d"] | Sequence,
    first: Real[ArrayLike, "..."] | Sequence = 0.0,
) -> ReLUNetwork:
    """The sum of clipped ramps `u -> first + sum_j rises[j] min(max((u - starts[j])/widths[j], 0), 1)`.

    **Arguments:**

    - `starts`, `widths`: `(m,)`, in any order; widths are positive, a jump is a narrow ramp.
    - `rises`: `(m,)`, or `(m, d)` for d outputs; `first`: a number or `(d,)`, the value left of all ramps.

    **Counts:** sizes `(1, m, m, d)`, depth 3, connectivity `nnz(1 + starts/widths) + 3 m + nnz(rises) + nnz(first)`.

    **Raises:** `ValueError` for a width that is not positive, for shapes that do not fit, for NaN and infinity, and
    where `1/width` overflows.

    **Example:**

        >>> from jaxgen.relu import staircase
        >>> stairs = staircase([0.0, 0.5], [0.25, 0.25], [1.0, 2.0], first=-1.0)
        >>> [float(stairs(u)[0]) for u in (-1.0, 0.125, 0.4, 0.625, 2.0)]
        [-1.0, -0.5, 0.0, 1.0, 2.0]
    """
    starts, widths, rises = _real("starts", starts), _real("widths", widths), _real("rises", rises)
    if starts.ndim != 1 or widths.shape != starts.shape or rises.shape[:1] != starts.shape or rises.ndim > 2:
        raise ValueError(
            f"starts, widths and rises have shapes {starts.shape}, {widths.shape} and {rises.shape}: expected (m,), "
            "(m,) and (m,) or (m, d)."
        )
    if (widths <= 0).any():
        raise ValueError(f"widths must be positive, and the smallest is {widths.min()}: make a jump a narrow ramp.")
    rises = rises[:, None] if rises.ndim == 1 else rises
    net = NetworkBuilder(u=1)
    net.layer(half=clip_inner(net["u"], starts, widths))
    net.layer(step=clip_outer(net["half"]))
    return net.network(rises.T @ net["step"] + _per_output("first", first, rises.shape[1]))


def part_centres(parts: int, ramp: float | int, length: float | int = 1.0) -> ReLUNetwork:
    """Stairs of equal width by folds: the centre of the one of equal parts of `[0, length]` that x lies in.

    Let h be the width of a part and g_K the sawtooth on the first 2^K >= `parts` of them. On part number D the wave
    `z = g_K(x / (2^K h))` rises if D is even and falls if D is odd; with p the parity of D, x stands |z - p| h behind
    the start of its part, and the centre is `x - h (|z - p| - 1/2)`. The parity is a wave too, moved by half a part:
    p = 1 where `g_K((x - h/2) / (2^K h)) > 1/2`. So all jumps are one clip. Its ramps take the share `ramp` of the part
    before a jump or of the one behind it, in turn, such that there is none at the end. Theory, section 3.

    **Arguments:**

    - `parts`: how many, at least 1; `ramp`: in (0, 1]; `length`: of the interval.

    **Counts:** sizes `(1, 5, ..., 5, 3, 3, 1)`, depth `K + 3`: O(log parts) weights. (For one part two neurons a layer
    and fewer.) In a ramp the value stays in the two parts that meet there.

    **Raises:** `ValueError` for `parts < 1`, a ramp outside (0, 1] and a length that is not positive and finite.

    **Example:**

        >>> from jaxgen.relu import part_centres
        >>> [float(part_centres(4, 2.0**-10)(x)[0]) for x in (0.0, 0.2, 0.3, 0.99)]
        [0.125, 0.125, 0.375, 0.875]
    """
    parts, length, ramp = whole_number(parts, "parts", 1), positive_number(length, "length"), real_number(ramp, "ramp")
    if not 0 < ramp <= 1:
        raise ValueError(f"ramp must lie in (0, 1]; got {ramp}")
    levels, width = (parts - 1).bit_length(), length / parts
    net = NetworkBuilder(x=1)
    waves = stack(net["x"], net["x"] - width / 2) / (2.0**levels * width)
    for _ in range(levels):
        net.layer(rise=waves, fall=waves - 0.5, **net.carry("x"))
        waves = 2 * net["rise"] - 4 * net["fall"]
    z, parity = waves[0], waves[1]
    start = 0.5 if parts % 2 else 0.5 - ramp
    net.layer(z=z, half=clip_inner(parity, start, ramp), behind=net["x"] - width * z)
    # |z - p| = z - p + 2 rho(p - z); and p - z = 1 - half - z, or both are negative.
    net.layer(p=clip_outer(net["half"]), turn=1 - net["half"] - net["z"], **net.carry("behind"))
    return net.network(net["behind"] + width * (net["p"] - 2 * net["turn"] + 0.5))


def piecewise_linear(
    breakpoints: Real[ArrayLike, " k"] | Sequence,
    values: Real[ArrayLike, "k *out"] | Sequence,
    left_slope: Real[ArrayLike, "..."] = 0.0,
    right_slope: Real[ArrayLike, "..."] = 0.0,
) -> ReLUNetwork:
    """Any continuous piecewise-linear function of one variable, by its values at its breakpoints.

    **Arguments:**

    - `breakpoints`: `(k,)`, strictly increasing, `k >= 1`. They make `k + 1` pieces, the two outer ones
        unbounded.
    - `values`: `(k,)` for a real function, `(k, out)` for `out` functions that share their breakpoints.
    - `left_slope`, `right_slope`: before the first and after the last breakpoint; scalars or `(out,)`.

    **Counts:** sizes `(1, h, out)`, where `h <= k + 1` (one less than the number of pieces if `left_slope` is
    0) is the number of breakpoints at which the slope changes, the first one taken as a change from 0, and
    one more if `left_slope` is nonzero. Connectivity: `h`, and one for each of these neurons whose breakpoint
    is not 0, and the nonzero changes of slope (per output), left slopes and entries of `values[0]`. A
    constant has `h = 1` neuron without weights.

    **Raises:** `ValueError` if the breakpoints are empty, unsorted or repeated (a jump is a `ramp`), if
    shapes do not fit, or for NaN, infinity, or a slope that overflows.

    **Example:**

        >>> from jaxgen.relu import piecewise_linear
        >>> bump = piecewise_linear([0.0, 0.5, 1.0], [0.0, 1.0, 0.25], right_slope=2.0)
        >>> bump.sizes, [float(bump(x)[0]) for x in (-1.0, 0.25, 0.75, 2.0)]
        ((1, 3, 1), [0.0, 0.5, 0.625, 2.25])
    """
    x, y = _real("breakpoints", breakpoints), _real("values", values)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"breakpoints has shape {x.shape}: expected (k,) with k >= 1.")
    if y.ndim not in (1, 2) or y.shape[0] != x.size or y.size == 0:
        raise ValueError(f"values has shape {y.shape}: expected ({x.size},) or ({x.size}, out), one per breakpoint.")
    gaps = np.diff(x)
    if (gaps <= 0).any():
        first = int(np.argmax(gaps <= 0))
        raise ValueError(
            f"breakpoints must strictly increase, but {x[first]} is followed by {x[first + 1]}: sort them, "
            "and give a jump two breakpoints, the width of its ramp apart."
        )
    y = y.reshape(x.size, -1)
    left = _per_output("left_slope", left_slope, y.shape[1])
    right = _per_output("right_slope", right_slope, y.shape[1])
    with np.errstate(over="ignore"):
        slopes = np.diff(y, axis=0) / gaps[:, None]
    # From the first breakpoint x_0 to the right: y_0 + sum_i (change of slope at x_i, from 0) rho(x - x_i);
    # to the left one mirrored neuron, - left_slope rho(x_0 - x).
    signs = np.concatenate([[-1.0], np.ones(x.size)])
    anchors = np.concatenate([x[:1], x])
    kinks = np.concatenate(
        [-left[None], np.diff(slopes, axis=0, prepend=np.zeros_like(right)[None], append=right[None])]
    )
    used = kinks.any(axis=1)
    net = NetworkBuilder(x=1)
    net.layer(kink=signs[used] * (net["x"] - anchors[used]))
    return net.network(kinks[used].T @ net["kink"] + y[0])


def unfold(slope: float | int, level: int = 0) -> ReLUNetwork:
    """One backward step of the Peano curve, `(c, 3^j w) -> 3^(j+1) unfold(c, w)`, where `j = level`.

    For `c` and `w` in `[0, 1]`, `unfold(c, w) = (a + R^a w)/3` with `a = min(floor(3c), 2)` and
    `R w = 1 - w`: the third of the unit interval that `c` names, run through backward if it is the middle one. The
    factors `3^j` keep all weights integers (if `slope` is):

        3 unfold = w + 2 rho(i_1 - w) + 2 rho(w + i_2 - 1),   i_m = rho(1 - rho(1 - B(3c - m))),

    with `B = slope`. Exact unless `c` lies in one of the ramps `[m/3, m/3 + 1/(3B))`, `m = 1, 2`.
    Source: theory, section 4.

    **Counts:** sizes `(2, 3, 3, 3, 1)`, connectivity 19, weight magnitude `max(3B, 2B + 1, 3^j)`.

    **Raises:** `ValueError` if `slope < 1` or is not finite, or if `level < 0`.

    **Example:** the middle third, backward.

        >>> from jaxgen.relu import unfold
        >>> unfold(2**10)([0.5, 0.25]).tolist()
        [1.75]
    """
    if positive_number(slope, "slope") < 1:
        raise ValueError(f"slope must be at least 1; got {slope}")
    scale = 3.0 ** whole_number(level, "level")
    net = NetworkBuilder(c=1, w=1)
    net.layer(half=clip_inner(3 * slope * net["c"], [slope, 2 * slope], 1), **net.carry("w"))
    net.layer(step=clip_outer(net["half"]), **net.carry("w"))
    first, second = scale * net["step"]
    net.layer(turn=stack(first - net["w"], net["w"] + second - scale), **net.carry("w"))
    return net.network(net["w"] + 2 * net["turn"].sum())


def _per_output(name: str, values: Any, size: int) -> np.ndarray:
    array = _real(name, values)
    if array.shape not in ((), (size,)):
        raise ValueError(f"{name} has shape {array.shape}: expected a scalar or ({size},), one per output.")
    return np.broadcast_to(array, (size,))


def _real(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has entries that are NaN or infinite: expected finite numbers.")
    return array
