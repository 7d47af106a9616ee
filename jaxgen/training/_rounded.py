"""Training after rounding: weights of few bits, some of them zero, that still fit the data."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from .._checks import Numbers
from ..coding import quantize_network, rounding_step
from ._fit import fit
from ._fitted import Fitted, G
from ._models import Samples
from ._sinkhorn_loss import SinkhornLoss
from ._step import split_parameters

_LEARNING_RATE, _STEPS = 1e-3, 1000


class _Rounded(eqx.Module):
    """A generator that acts with rounded parameters, and is trained as if it did not.

    A rounded parameter is locally constant in the one it stands for: its derivative by it is taken for 1 (the
    *straight-through* estimator; Bengio, Leonard and Courville, 2013), so that small steps add up until they cross to
    the next multiple. Pruned ones stay 0 and have no derivative.

    - `steps`, `kept`: for each array of parameters, the step that its entries are multiples of, and a mask.
    - `most`: of a step that an entry is.
    """

    model: Samples
    steps: PyTree
    kept: PyTree
    most: Array

    @property
    def source_dim(self) -> int:
        return math.prod(self.model.source_shape or ())

    @property
    def vocabulary(self) -> Any:
        return getattr(self.model.generator, "vocabulary", None)

    def __call__(self, u: Array, **label: Array) -> Array:
        return self.rounded()(u.reshape(self.model.source_shape or ()), **label)

    def rounded(self) -> Any:
        """The generator that it acts as."""
        params, rest = split_parameters(self.model)

        def nearest(array: Array, step: Array, kept: Array) -> Array:
            multiple = jnp.clip(jnp.round(array / jnp.where(step > 0, step, 1)), -self.most, self.most)
            return kept * (array + jax.lax.stop_gradient(step * multiple - array))

        return eqx.combine(jax.tree.map(nearest, params, self.steps, self.kept), rest).generator

    def trainable(self) -> "_Rounded":
        """The parameters of the generator: steps and masks stay."""
        params, _ = split_parameters(self.model)
        marked = jax.tree.map(lambda leaf: leaf is not None, params, is_leaf=lambda leaf: leaf is None)
        return eqx.tree_at(lambda r: r.model, jax.tree.map(lambda _: False, self), marked)


def fit_rounded(
    generator: G,
    data: Numbers,
    *,
    key: PRNGKeyArray,
    weight_bits: SupportsIndex = 4,
    pruned: SupportsFloat = 0.0,
    steps: SupportsIndex = _STEPS,
    batch_size: SupportsIndex = 256,
    epsilon: SupportsFloat = 0.01,
    learning_rate: SupportsFloat = _LEARNING_RATE,
    labels: Iterable[str | int | np.generic] | None = None,
    progress: bool = True,
) -> Fitted[G]:
    """Goes on training a generator with weights of few bits, as they will be in its file.

    Each array of parameters is rounded to multiples of one step, as `jaxgen.coding.quantize_network` rounds it, and
    the smallest entries of each matrix are set to zero for good; what is left is trained under the rounding, by the
    straight-through estimator, with the Sinkhorn divergence at its last epsilon. `encode(generator, weight_bits=...)`
    then changes nothing more.

    **Arguments:**

    - `generator`: a trained one, as `fit` returns in its `generator`; `data`, `labels`, `batch_size`, `progress`,
        `epsilon`, `learning_rate` (0.001 by default): as for `fit`.
    - `weight_bits`: of a weight, 2 to 16.
    - `pruned`: the share of each matrix that is set to zero, at least 0 and below 1.
    - `key`: of the batches. `steps`: how many.

    **Returns:** a `Fitted`, whose `generator` has weights of so many bits.

    **Raises:** `ValueError` for weight_bits or a share out of range, and as `fit`.

    **Example:**

        >>> import jax.random as jr, numpy as np, jaxgen as jg
        >>> network = jg.MLPGenerator(dim=1, width=8, depth=3, key=jr.key(0))
        >>> points, options = np.linspace(5, 8, 64), {"batch_size": 32, "progress": False}
        >>> fitted = jg.fit(network, points, key=jr.key(1), steps=40, **options)
        >>> few = jg.training.fit_rounded(
        ...     fitted.generator, points, key=jr.key(2), weight_bits=3, pruned=0.5, steps=40, **options
        ... )
        >>> len(np.unique(few.generator.weights[1])) <= 7, int((few.generator.weights[1] == 0).sum()) >= 32
        (True, True)
    """
    share = float(pruned)
    if not 0 <= share < 1:
        raise ValueError(f"pruned must be at least 0 and below 1; got {pruned}")
    params, rest = split_parameters(Samples(generator))
    kept = jax.tree.map(lambda array: _kept(np.asarray(array), share), params)
    sparse = eqx.combine(jax.tree.map(lambda array, mask: array * mask, params, kept), rest)
    bits = int(weight_bits)
    steps_of = jax.tree.map(
        lambda array: jnp.asarray(rounding_step(np.asarray(array), bits), array.dtype), split_parameters(sparse)[0]
    )
    begun = _Rounded(sparse, steps_of, kept, jnp.asarray(2.0 ** (bits - 1) - 1))
    fitted = fit(
        begun, data, key=key, steps=steps, batch_size=batch_size, learning_rate=learning_rate, labels=labels,
        loss=SinkhornLoss(float(epsilon), anneal=1.0), progress=progress,
    )  # fmt: skip
    found: Any = dataclasses.replace(fitted, generator=quantize_network(fitted.generator.rounded(), bits))
    return found


def _kept(array: np.ndarray, share: float) -> Array:
    """Which entries of a matrix are not among the smallest; of anything else all."""
    out = np.ones(array.shape, bool)
    if array.ndim == 2:
        out.flat[np.argsort(np.abs(array), axis=None, kind="stable")[: int(share * array.size)]] = False
    return jnp.asarray(out)
