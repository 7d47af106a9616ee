"""The derivative of a position in a node: the one rule where integers stand between u and the point.

Let F be the mass before a node, p its mass, and r = (u - F) / p the position of u in it. While u stays in the node,

    p r = u - F,   so   p dr + r dp = du - dF,   that is   dr = (du - dF - r dp) / p.               (theory, section 12)

Numbers are held by integers, which have no derivative. So beside a number stands a float, `moved`, that is exactly 0
and has the derivatives of the number: adding it changes no bit, and restores them. All that a construction does to a
number while the integer part stays is affine, and `moved` goes along: a factor multiplies it, `1 - r` negates it, and
the step to a node is the rule. At a jump the derivative is that of the side that the number is on.

For a point `x = c + a path(r)` with corner c and sides a this is `dx = dc + da path(r) + a path'(r) dr`, where the
first two terms are those of floats, and the slope of the path, +-base**levels, comes about digit by digit.

All is arithmetic of floats, without a custom rule, so that any transformation of JAX and any order will do.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def motion(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Exactly 0, with the derivatives of x.

    **Example:**

        >>> import jax
        >>> from jaxgen.source import motion
        >>> [float(y) for y in jax.jvp(motion, (3.0,), (2.0,))]
        [0.0, 2.0]
    """
    # Were x a product, a compiler might fuse it with the difference, which is then the rounding of the product.
    x = jax.lax.optimization_barrier(jnp.asarray(x))
    return x - jax.lax.stop_gradient(x)


def moved_inside(
    r: Float[Array, ""], ahead: Float[Array, ""], count: Float[Array, ""], grown: Float[Array, ""] | None = None
) -> Float[Array, ""]:
    """Exactly 0, with the derivatives of the position `(at - start) / count` in a node, known exactly as `r`.

    **Arguments:**

    - `ahead`: exactly 0, with the derivatives of `at - start`; `grown`: those of `count`, if any. In one unit of mass.

    **Example:**

        >>> import jax, jax.numpy as jnp
        >>> from jaxgen.source import moved_inside
        >>> r, zero, count = jnp.asarray(0.5), jnp.asarray(0.0), jnp.asarray(2.0)
        >>> [float(x) for x in jax.grad(moved_inside, (1, 3))(r, zero, count, zero)]  # 1 / p and -r / p
        [0.5, -0.25]
    """
    if grown is None:
        return ahead / count
    # (at - start) / count itself, its value put together from what is exact.
    position = (jax.lax.stop_gradient(r * count) + ahead) / (count + grown)
    return position - jax.lax.stop_gradient(position)
