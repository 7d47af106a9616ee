"""Samples of explicit generators, against FlowJAX flows that were trained on the same points (`jaxgen[peers]`)."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from flowjax import bijections, distributions, flows
from flowjax.train import fit_to_data

import jaxgen as jg

from .rows import Row


def rows(small: bool):
    """Nanoseconds a sample; the names have W_2 from the law to the points, by 8,192 values or samples."""
    n, key = 1 << (10 if small else 18), jr.key(0)
    points = jg.data.airports().points
    scaled = jnp.asarray((points - points.mean(axis=0)) / points.std(axis=0), jnp.float32)
    middle, spread = (jnp.asarray(array, jnp.float32) for array in (points.mean(axis=0), points.std(axis=0)))
    g = jg.quantize(points, bits=4096).generator()
    near = jg.law_distance(g, points, p=2, n=1024 if small else 8192).value
    normal = distributions.Normal(jnp.zeros(points.shape[1]))
    spline = bijections.RationalQuadraticSpline(knots=8, interval=4)
    # `invert=False`: the direction that samples is the fast one.
    made = {
        "coupling flow": ft.partial(flows.coupling_flow, invert=False),
        "autoregressive flow": ft.partial(flows.masked_autoregressive_flow, invert=False),
        "spline flow": ft.partial(flows.coupling_flow, transformer=spline, invert=False),
    }
    for name, make in made.items():
        flow = make(jr.key(1), base_dist=normal)
        flow, _ = fit_to_data(
            jr.key(2), flow, scaled, max_epochs=1 if small else 60, max_patience=10, show_progress=False
        )
        params, static = eqx.partition(flow, eqx.is_array)
        draw = jax.jit(
            lambda key, params, static=static: middle + spread * eqx.combine(params, static).sample(key, (n,))
        )
        their = jg.law_distance(np.asarray(draw(key, params))[: 1 << 13], points, p=2).value
        yield Row(
            f"best law in 4,096 bits, W_2 {near:.2f}", ft.partial(g.sample, key, n), f"{name}, W_2 {their:.2f}",
            ft.partial(draw, key, params), n, 8 * n, 2 * n, lambda x, y, near=near, their=their: near <= their,
        )  # fmt: skip
