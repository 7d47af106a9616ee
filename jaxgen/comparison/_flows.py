"""Models that take long to train: flows of FlowJAX, flow matching and semi-discrete maps of OTT-JAX."""

# pyright: reportMissingImports=false
# Its libraries are optional.

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float

from ..data import Dataset
from ._peer import Made, Peer, normal

# Of a flow: epochs at most, and epochs without progress on a tenth of its points that end them.
_EPOCHS, _PATIENCE, _RATE = 300, 20, 1e-3
# Of flow matching: steps, points in a batch, hidden layers, and steps of the solver (Heun's) a point.
_STEPS, _BATCH, _HIDDEN, _SOLVER_STEPS = 10000, 256, (128, 128, 128), 32
# Of the semi-discrete solver.
_ITERATIONS, _SOLVER_RATE = 20000, 0.05


class FromNormal(eqx.Module):
    """A map of a standard normal point, in standardised coordinates, as a map of d uniform numbers.

    - `arrays`, `map_of`: arrays, and what makes of them the map. `mean`, `spread`: `(d,)`, the units of the data.
    """

    arrays: Any
    map_of: Callable[[Any], Callable[[Array], Array]] = eqx.field(static=True)
    mean: Float[Array, " d"]
    spread: Float[Array, " d"]

    @property
    def source_dim(self) -> int:
        """As many as there are coordinates."""
        return len(self.mean)

    def __call__(self, u: Float[ArrayLike, " d"]) -> Float[Array, " d"]:
        """The point of `(d,)` uniform numbers."""
        return self.mean + self.spread * self.map_of(self.arrays)(normal(u))


def _made(arrays: Any, map_of: Callable[[Any], Callable[[Array], Array]], units: tuple[Array, Array], numbers: int):
    return Made(FromNormal(arrays, map_of, *units), 32 * (numbers + 2 * len(units[0])))


def _standard(data: Dataset) -> tuple[Float[Array, "n d"], tuple[Array, Array]]:
    """Points of mean 0 and deviation 1, and the units that take them back."""
    mean, spread = data.points.mean(axis=0), data.points.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return jnp.asarray((data.points - mean) / spread), (jnp.asarray(mean), jnp.asarray(spread))


def coupling(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """An affine coupling flow; a flow of one coordinate has nothing to couple."""
    if train.points.shape[1] > 1:
        yield "coupling flow", Peer("coupling flow", False, lambda data, s: _flow(data, s, None))


def spline(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """A flow of rational quadratic splines: coupled, or on the line one spline after another."""
    yield "spline flow", Peer("spline flow", False, lambda data, s: _flow(data, s, 8))


def _flow(data: Dataset, seed: int, knots: int | None) -> Made:
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow, masked_autoregressive_flow
    from flowjax.train import fit_to_data

    points, units = _standard(data)
    dim, key = points.shape[1], jr.key(seed)
    spline = {} if knots is None else {"transformer": RationalQuadraticSpline(knots=knots, interval=4)}
    build = coupling_flow if dim > 1 else masked_autoregressive_flow
    flow = build(key, base_dist=Normal(jnp.zeros(dim)), flow_layers=8, **spline)
    flow, _ = fit_to_data(
        jr.fold_in(key, 1), flow, points, learning_rate=_RATE, max_epochs=_EPOCHS, max_patience=_PATIENCE,
        show_progress=False,
    )  # fmt: skip
    arrays, rest = eqx.partition(flow, eqx.is_array)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(arrays) if eqx.is_inexact_array(leaf))

    def map_of(arrays: Any) -> Callable[[Array], Array]:
        from paramax import unwrap

        return unwrap(eqx.combine(arrays, rest)).bijection.transform

    return _made(arrays, map_of, units, numbers)


def matching(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """A velocity field that carries normal points to the data, of OTT-JAX."""
    yield "flow matching", Peer("flow matching", False, _matching)


def _matching(data: Dataset, seed: int) -> Made:
    import diffrax
    from flax import nnx
    from ott.neural.methods import flow_matching
    from ott.neural.networks.velocity_field.mlp import MLP

    points, units = _standard(data)
    dim, key = points.shape[1], jr.key(seed)
    field = MLP(dim, hidden_dims=_HIDDEN, time_enc_num_freqs=8, rngs=nnx.Rngs(seed))
    rate = optax.cosine_decay_schedule(_RATE, _STEPS)
    optimizer = nnx.Optimizer(field, optax.adam(rate), wrt=nnx.Param)

    @nnx.jit
    def step(field: Any, optimizer: Any, key: Array) -> None:
        chosen, start, time = jr.split(key, 3)
        end = points[jr.randint(chosen, (_BATCH,), 0, len(points))]
        batch = flow_matching.interpolate_samples(time, jr.normal(start, end.shape), end)
        flow_matching.flow_matching_step(field, optimizer, batch)

    for k in range(_STEPS):
        step(field, optimizer, jr.fold_in(key, k))
    structure, state = nnx.split(field)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(state))

    def map_of(state: Any) -> Callable[[Array], Array]:
        model = nnx.merge(structure, state)

        def carried(z: Array) -> Array:
            solved = flow_matching.evaluate_velocity_field(model, z, num_steps=_SOLVER_STEPS, solver=diffrax.Heun())
            return solved.ys[-1]  # pyright: ignore[reportOptionalSubscript]

        return carried

    return _made(state, map_of, units, numbers)


def semi_discrete(train: Dataset, seed: int) -> Iterator[tuple[str, Peer]]:
    """The optimal map from a normal law to the points themselves, of OTT-JAX."""
    yield "semi-discrete map", Peer("semi-discrete map", False, _semi_discrete)


def _semi_discrete(data: Dataset, seed: int) -> Made:
    from ott.geometry.semidiscrete_pointcloud import SemidiscretePointCloud
    from ott.problems.linear.semidiscrete_linear_problem import SemidiscreteLinearProblem
    from ott.solvers.linear.semidiscrete import SemidiscreteSolver

    points, units = _standard(data)
    geometry = SemidiscretePointCloud(jr.normal, points, epsilon=0.0)
    rate = optax.cosine_decay_schedule(_SOLVER_RATE, _ITERATIONS)
    solver = SemidiscreteSolver(num_iterations=_ITERATIONS, batch_size=_BATCH, optimizer=optax.adam(rate))
    solved = jax.jit(solver)(jr.key(seed), SemidiscreteLinearProblem(geometry))

    def map_of(arrays: tuple[Array, Array]) -> Callable[[Array], Array]:
        atoms, heights = arrays
        return lambda z: atoms[jnp.argmax(heights - jnp.sum((z - atoms) ** 2, axis=1))]

    return _made((points, solved.g), map_of, units, points.size + len(points))
