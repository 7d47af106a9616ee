"""Where a sample path is not differentiated by masses: an error that names the route that works, and no zero."""

import jax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float


@jax.custom_jvp
def refused(masses: Float[Array, " m"]) -> Float[Array, " m"]:
    """The masses themselves, without a derivative.

    Along a curve a mass moves every later point, and points jump from leaf to leaf: the mean of what the path has is
    not the derivative of the law, and may be far from it (theory, section 12).

    **Raises:** `TypeError` where a derivative by the masses is asked for.
    """
    return masses


def _rule(primals, tangents):
    if isinstance(tangents[0], SymbolicZero):
        return primals[0], tangents[0]
    raise TypeError(
        "a point of a curve or a codebook has no useful derivative by the masses: they move it from leaf to leaf, by "
        "jumps. Differentiate the law instead, sum_i p_i E[f | leaf i]: `points, weights = measure.weighted_points(n)` "
        "and a loss on weighted points, such as `weights @ f(points)`. SawtoothGenerator and IndependentGenerator have "
        "derivatives by masses. If masses are to stay as they are, use jax.lax.stop_gradient(masses)."
    )


refused.defjvp(_rule, symbolic_zeros=True)
