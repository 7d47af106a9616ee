"""The Peano curve of any dimension: its order and kernel on digits, and its ReLU network (theory, section 4).

Let v have base-3 digits o_0 o_1 ..., digit number m belonging to coordinate m mod d. The digit of the coordinate is
o_m itself, or 2 - o_m when the sum of the earlier digits of the *other* coordinates is odd. As 2 - o has the parity of
o, the same rule read with the coordinates' digits gives back the digits of v: the rule is its own inverse. And as 3 is
odd, the parity of a sum of digits is the parity of the integer they write, so that a cell known by its integer
coordinates carries on from there with no digit of it unpacked.
"""

import sys
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from ..relu import NetworkBuilder, ReLUNetwork, stack
from ..source import Residual, unstacked
from ._abstract import AbstractCurve

_WORD_DIGITS = 40  # 3**40 < 2**64
# Digits up to which a walk is unrolled.
_FEW_DIGITS = 16


class PeanoCurve(AbstractCurve):
    """The Peano curve in base 3: continuous in any dimension, with all its weights integers. Theory, section 4.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.curves import PeanoCurve
        >>> cells = np.indices((3, 3)).reshape(2, -1).T
        >>> cells[PeanoCurve().argsort(cells, levels=1)].tolist()
        [[0, 0], [0, 1], [0, 2], [1, 2], [1, 1], [1, 0], [2, 0], [2, 1], [2, 2]]
    """

    base: ClassVar[int] = 3
    heeds_levels: ClassVar[bool] = False

    def keys(self, cells: Int[np.ndarray, "m d"], levels: int) -> list[np.ndarray]:
        """Words of 40 base-3 digits of the index in uint64, one digit of all cells at a time."""
        columns = np.ascontiguousarray(np.asarray(cells).T)
        d, m = columns.shape
        words = np.zeros((max(1, -(-levels * d // _WORD_DIGITS)), m), np.uint64)
        own, everyone = np.zeros((d, m), np.uint8), np.zeros(m, np.uint8)
        for place in range(levels * d):
            level, k = divmod(place, d)
            digit = (columns[k] // 3 ** (levels - 1 - level) % 3).astype(np.uint8)
            word = words[place // _WORD_DIGITS]
            word *= np.uint64(3)
            word += np.where((everyone ^ own[k]).astype(bool), 2 - digit, digit)
            digit &= 1
            everyone ^= digit
            own[k] ^= digit
        return list(words)

    def steps(
        self, digits: UInt32[Array, "levels d"], cell: Int[Array, " d"], cell_levels: int
    ) -> tuple[UInt32[Array, "levels d"], Bool[Array, " d"]]:
        """Each digit, turned over where the sum of the earlier digits of the other coordinates is odd."""
        everyone = (jnp.cumsum(digits.reshape(-1), dtype=digits.dtype) - digits.reshape(-1)).reshape(digits.shape)
        own = jnp.cumsum(digits, axis=0, dtype=digits.dtype) - digits
        whole = cell.astype(digits.dtype)
        # Parities survive the wrap-around of unsigned integers.
        others = everyone - own + (whole.sum(dtype=digits.dtype) - whole)[None]
        ends = whole + digits.sum(axis=0, dtype=digits.dtype)
        return jnp.where(others % 2 == 1, 2 - digits, digits), (ends.sum(dtype=digits.dtype) - ends) % 2 == 1

    def walk(
        self,
        cell: Int[Array, " d"],
        cell_levels: int,
        r: Residual,
        levels: int,
        dtype: jnp.dtype | type,
        path: str,
    ) -> Float[Array, " d"]:
        """The walk of every curve; few digits one after another, of which XLA makes one loop over samples."""
        dim = cell.shape[0]
        if not 0 < dim * max(levels, 1) <= _FEW_DIGITS:
            return super().walk(cell, cell_levels, r, levels, dtype, path)
        digits, r = r.digits(3, levels * dim)
        # Taken apart first: what is done to the whole cell keeps it whole, and takes half as long again.
        own, position = [x.astype(jnp.uint32) for x in unstacked(cell)], [jnp.zeros((), jnp.uint32)] * dim
        everyone = sum(own[1:], own[0])
        for place, digit in enumerate(digits):
            k = place % dim
            turned = jnp.where((everyone - own[k]) % 2 == 1, 2 - digit, digit)
            position[k] = 3 * position[k] + turned
            everyone, own[k] = everyone + digit, own[k] + digit
        w = jnp.asarray(0.5, dtype) if path == "centre" else r.to_float(dtype)
        moving = {"centre": 0, "line": 1, "diagonal": dim}[path]
        out = []
        for k in range(dim):
            backward = (everyone - own[k]) % 2 == 1
            inner = jnp.where(backward, 1 - w, w) if k >= dim - moving else jnp.asarray(0.5, dtype)
            out.append((position[k].astype(dtype) + inner) / 3**levels)
        return jnp.stack(out)

    def network(self, dim: int, levels: int, slope: int, path: str = "line") -> ReLUNetwork:
        """`peano_network`."""
        return peano_network(dim, levels, slope, path)


def peano_network(dim: int, levels: int, slope: int, path: str = "diagonal") -> ReLUNetwork:
    """The Peano curve v -> [0, 3**levels]^dim with `levels` levels; all weights are integers.

    The waves t_0, t_1, ... are computed once going forward, one a layer, and carried; the unfolds run backward, all
    coordinates at once, on signals scaled by powers of 3:

        3 unfold = w + 2 rho(ind_1 - w) + 2 rho(w + ind_2 - 1),   ind_m = rho(1 - rho(1 - B(3c - m))),   B = `slope`.

    The clipped ramp `ind_m` is exactly 0 or 1 outside the ramp, which section 1's difference of two large numbers is
    not in floating point. It differs from the curve only where a wave lies in a ramp, `[m/3, m/3 + 1/(3B))`.

    What is inside the last cell: with `path="diagonal"` the last wave, in every coordinate; with `"centre"` the
    constant 1/2; with `"line"` the constant 1/2 but for the last coordinate, where the last unfold undoes the last wave
    (`unfold(c, t(c)) = c`), so that both are left out.

    **Counts**, for d = `dim`, K = `levels` >= 1 and D = d K >= 2, whatever the number of cells, 3**D:

    | path | depth | connectivity |
    |---|---|---|
    | diagonal | D + K + 3 | D (D + K)/2 + 30 D - 3 d - 2 |
    | centre | D + K + 2 | D (D + K)/2 + 29 D - 6 d - 12, and d more for K = 1 |
    | line | D + K + 2 | D (D + K)/2 + 29 D - 6 d - 28, and d + 3 more for K = 1 |

    The line leaves out one of the D unfolds of the centre, which is 16 entries. For K = 0 the depth is 1.

    **Raises:** `ValueError` for a slope beyond the float type.

    **Example:**

        >>> from jaxgen.curves import peano_network
        >>> network = peano_network(dim=2, levels=1, slope=1000, path="line")
        >>> [round(float(x), 3) for x in network(0.5)]  # the middle of the square, in units of a cell
        [1.5, 1.5]
    """
    if slope > sys.float_info.max / 3:
        raise ValueError("slope is beyond float64: choose wider ramps, fewer levels or fewer dimensions")
    if levels == 0:
        return AbstractCurve.network(PeanoCurve(), dim, 0, slope, path)
    net = NetworkBuilder(t0=1)
    waves = dim * levels
    for j in range(waves if path == "diagonal" else waves - 1):
        # t_{j+1} = 3 t_j - 2 rho(3 t_j - 1) + 2 rho(3 t_j - 2); the earlier waves are carried.
        last = net[f"t{j}"]
        net.layer(**net.carry(*(f"t{i}" for i in range(j + 1))), up=3 * last - 1, down=3 * last - 2)
        net.define(**{f"t{j + 1}": 3 * net[f"t{j}"] - 2 * net["up"] + 2 * net["down"]})
    # The waves of each level as one block, and what is inside the last cell.
    for level in range(levels):
        net.define(**{f"level{level}": stack(*(net[f"t{level * dim + i}"] for i in range(dim)))})
    half = (0 * net["t0"] + 0.5).repeat(dim - 1) if path == "line" and dim > 1 else (0 * net["t0"] + 0.5).repeat(dim)
    if path == "diagonal":
        net.define(w=net[f"t{waves}"])  # one signal, until the unfolds tell the coordinates apart
    elif path == "centre":
        net.define(w=half)
    else:
        last = net[f"t{waves - 1}"]
        net.define(w=stack(half, last) if dim > 1 else last)
    _unfold(net, dim, levels, slope, line=path == "line")
    return net.network(net["w"])


def _unfold(net: NetworkBuilder, dim: int, levels: int, slope: int, line: bool) -> None:
    """From `level0`, `level1`, ... and `w` to the coordinates, as the new `w`.

    A pipeline of three layers a level: inner half of the clip, outer half, unfold; a level starts with every layer.
    """

    def active(level: int) -> slice:
        return slice(0, dim - 1) if line and level == levels - 1 else slice(0, dim)

    for step in range(levels + 2):
        starting, clipped, unfolded = levels - 1 - step, levels - step, levels + 1 - step
        neurons = net.carry(*(f"level{i}" for i in range(max(starting, 0))))
        if starting >= 0:
            c = net[f"level{starting}"][active(starting)]
            for m in (1, 2):
                neurons[f"half{m}"] = 1 + m * slope - (3 * slope) * c
        if 0 <= clipped < levels:
            for m in (1, 2):
                neurons[f"on{m}"] = 1 - net[f"half{m}"]
        if unfolded >= levels:
            net.layer(**neurons, w=net["w"])
            continue
        rows, scale = active(unfolded), 3 ** (levels - 1 - unfolded)
        w = net["w"] if len(net["w"]) == dim else net["w"].repeat(dim)
        net.layer(**neurons, w=w, first=scale * net["on1"] - w[rows], second=w[rows] + scale * net["on2"] - scale)
        w = net["w"]
        turned = w[rows] + 2 * net["first"] + 2 * net["second"]
        net.define(w=turned if rows.stop == dim else stack(turned, 3 * w[dim - 1 :]))
