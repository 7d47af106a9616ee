"""Samples of explicit generators, against drawing their coordinates alone and against looking a cell up."""

import functools as ft

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.stats import chi2

import jaxgen as jg

from .rows import Row

QUANTA = 1 << 20


def measures(small: bool):
    """Laws on grids in 2, 3 and 4 dimensions, with random masses on all of their cells."""
    rng = np.random.default_rng(0)
    sides = [(2, 9), (3, 5)] if small else [(2, 32), (2, 512), (2, 1000), (3, 27), (4, 9)]
    for d, side in sides:
        yield jg.GridMeasure.from_histogram(rng.random((side,) * d)).quantize(QUANTA)


def rows(small: bool):
    """Nanoseconds a sample."""
    n, few, key = 1 << (12 if small else 20), 1 << (10 if small else 16), jr.key(0)
    for measure in measures(small):
        d = measure.dim
        # No law of d numbers of 24 bits comes from fewer random bits than these; float32 has no more.
        floor = {"bytes": 4 * d * n, "words": -(-24 * d // 32) * n}
        less = {name: size * few // n for name, size in floor.items()}
        uniform = jax.jit(lambda key, d=d: jr.uniform(key, (n, d)))
        by_search, by_choice, by_gumbels = look_ups(measure, n, few)
        made = {
            "Peano line": jg.PeanoGenerator(measure),
            "leaves": jg.LeafMeasure(measure.low_corners, measure.sides, measure.counts).generator(),
            "sawtooth, 6 folds": jg.SawtoothGenerator(measure, 6),
            "independent": jg.IndependentGenerator(measure),
        }
        same = ft.partial(both_fit, measure)
        for name, g in made.items():
            title = f"{name}, d = {d}, {measure.size} cells"
            draw = ft.partial(g.sample, key, n)
            ours = ft.partial(ours_fits, measure)
            yield Row(title, draw, f"{d} uniform numbers", ft.partial(uniform, key), n, **floor, same=ours)
            yield Row(title, draw, "searchsorted + uniforms", by_search, n, **floor, same=same)
            if name == "Peano line" and measure.size <= 1 << 16:
                yield Row(title, draw, "numpy choice + uniforms", by_choice, n, **floor, same=same)
            if name == "Peano line" and measure.size <= 1 << 11:
                draw = ft.partial(g.sample, key, few)
                yield Row(title, draw, "jax.random.categorical + uniforms", by_gumbels, few, **less, same=same)


def look_ups(measure, n, few):
    """The ways that are at hand: a cell by its cumulative mass, and as many uniform numbers as the cell has sides."""
    edges = jnp.cumsum(measure.counts).astype(jnp.int32)
    low, side, cells = jnp.asarray(measure.low), jnp.asarray(measure.cell_sides), measure.cells

    @jax.jit
    def by_search(key):
        which, where = jr.split(key)
        leaf = jnp.searchsorted(edges, jr.randint(which, (n,), 0, QUANTA), side="right")
        return low + (cells[leaf] + jr.uniform(where, (n, measure.dim))) * side

    logits = jnp.log(jnp.asarray(measure.masses))

    @jax.jit
    def by_gumbels(key):
        which, where = jr.split(key)
        # 2^10 at a time: a table of a Gumbel number for each cell and sample would fill the memory.
        draw = ft.partial(jr.categorical, logits=logits, shape=(1 << 10,))
        leaf = jax.lax.map(draw, jr.split(which, few >> 10)).ravel()
        return low + (cells[leaf] + jr.uniform(where, (few, measure.dim))) * side

    rng, masses = np.random.default_rng(0), np.asarray(measure.counts, float) / QUANTA
    host = [np.asarray(array, np.float32) for array in (low, cells, side)]

    def by_choice():
        leaf = rng.choice(measure.size, n, p=masses)
        return host[0] + (host[1][leaf] + rng.random((n, measure.dim), np.float32)) * host[2]

    return lambda: by_search(jr.key(0)), by_choice, lambda: by_gumbels(jr.key(0))


def ours_fits(measure, x, _) -> bool:
    """Whether the first cloud has the law of the measure: the second has another."""
    return fits(measure, x)


def both_fit(measure, x, y) -> bool:
    """Whether both clouds have the law of the measure."""
    return fits(measure, x) and fits(measure, y)


def fits(measure, x) -> bool:
    """Whether counts in groups of cells are what the masses say: chi-square below its quantile of 1 - 1e-6."""
    low, side = (np.asarray(array, float) for array in (measure.low, measure.cell_sides))
    shape = measure.resolution
    cells = np.clip(((np.asarray(x, float) - low) / side).astype(int), 0, np.array(shape) - 1)
    # Cells in blocks of two along each axis, so that a point on a border seldom counts; and no more than 256 groups.
    step = max(2, -(-shape[0] // round(256 ** (1 / len(shape)))))
    groups = tuple(-(-s // step) for s in shape)
    place = np.ravel_multi_index(tuple((np.asarray(measure.cells) // step).T), groups)
    expected = np.bincount(place, np.asarray(measure.counts, float), minlength=np.prod(groups)) * len(x) / QUANTA
    seen = np.bincount(np.ravel_multi_index(tuple((cells // step).T), groups), minlength=np.prod(groups))
    kept = expected > 5
    statistic = float(np.sum((seen[kept] - expected[kept]) ** 2 / expected[kept]))
    return statistic < chi2.ppf(1 - 1e-6, max(1, kept.sum() - 1))
