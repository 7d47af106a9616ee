"""The derivative of a position in a node: the one rule where integers stand between u and the point.

Let F be the mass before a node, p its mass, and r = (u - F) / p the position of u in it. While u stays in the node,

    p r = u - F,   so   p dr + r dp = du - dF,   that is   dr = (du - dF - r dp) / p.                (theory, section 12)

Numbers are held by integers, which have no derivative. So beside a number stands a float, `moved`, that is exactly 0
and has the tangent of the number: adding it changes no bit, and restores the derivative. All that a construction does
to a number with the integer part fixed is linear, and `moved` goes along: a factor multiplies it, `1 - r` negates it,
and the step to a node is the rule. At a jump the derivative is that of the side that the number is on.

For a point `x = c + a path(r)` with corner c and sides a this is `dx = dc + da path(r) + a path'(r) dr`, where the
first two terms are those of floats, and the slope of the path, +-base**levels, comes about digit by digit.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def motion(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Exactly 0, with the derivative of x.

    **Example:**

        >>> import jax
        >>> from jaxgen.source import motion
        >>> [float(y) for y in jax.jvp(motion, (3.0,), (2.0,))]
        [0.0, 2.0]
    """
    return x - jax.lax.stop_gradient(x)


@jax.custom_jvp
def moved_inside(
    r: Float[Array, ""], at: Float[Array, ""], start: Float[Array, ""], count: Float[Array, ""]
) -> Float[Array, ""]:
    """Exactly 0, with the derivative of the position `(at - start) / count` in a node, known exactly as `r`.

    `at`, `start` and `count` are in one unit of mass; of the first two, only their derivatives count.

    **Example:**

        >>> import jax, jax.numpy as jnp
        >>> from jaxgen.source import moved_inside
        >>> r, at, start, count = (jnp.asarray(x) for x in (0.5, 3.0, 2.0, 2.0))
        >>> [float(x) for x in jax.grad(moved_inside, (0, 1, 2, 3))(r, at, start, count)]
        [0.0, 0.5, -0.5, -0.25]
    """
    return jnp.zeros_like(r)


@moved_inside.defjvp
def _rule(primals, tangents):
    r, _, _, p = primals
    _, du, df, dp = tangents
    moved = moved_inside(*primals)
    # r with its own derivative, for derivatives of derivatives.
    return moved, (du - df - (r + moved) * dp) / p
