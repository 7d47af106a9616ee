"""How much work a comparison does, and what else was chosen."""

import dataclasses
import platform

import jax


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that was chosen for a comparison, and where it ran.

    **Arguments:**

    - `steps`, `widths`: of the trained networks. `repeats`, `samples`: of each distance, at most.
    - `budgets`, `precisions`: bits of the explicit generators, and of a weight of the trained ones, on the plane.
    - `curve_resolutions`, `curve_folds`, `curve_levels`: what the curves of error against size and depth go through.
    - `resolution`, `folds`, `extra_levels`: of the explicit generators. `seed`: of everything drawn.
    - `train_points`, `held_out_points`, `points_per_distance`: how many there were.
    - `jax`, `device`, `python`: where it ran.

    **Example:**

        >>> from jaxgen.comparison import PRESETS
        >>> PRESETS["quick"].steps < PRESETS["default"].steps < PRESETS["full"].steps
        True
    """

    preset: str
    steps: int
    widths: tuple[int, ...]
    repeats: int
    samples: int
    budgets: tuple[int, ...]
    precisions: tuple[int, ...]
    curve_resolutions: tuple[int, ...]
    curve_folds: tuple[int, ...]
    curve_levels: tuple[int, ...] = (0, 1, 2)
    resolution: int | tuple[int, ...] = 81
    folds: int = 6
    extra_levels: int = 2
    seed: int = 0
    train_points: int = 0
    held_out_points: int = 0
    points_per_distance: int = 0
    jax: str = jax.__version__
    device: str = ""
    python: str = platform.python_version()


_BUDGETS = tuple(2**k for k in range(8, 18))
PRESETS = {
    "quick": Settings("quick", 300, (32,), 2, 400, _BUDGETS[2::4], (4, 8), (9,), (1, 4)),
    "default": Settings("default", 3000, (16, 64), 3, 1000, _BUDGETS, (2, 4, 6, 8, 16), (3, 9, 27), (0, 1, 2, 4)),
    "full": Settings(
        "full", 20000, (8, 16, 32, 64, 128), 5, 1500, _BUDGETS, (2, 3, 4, 5, 6, 8, 12, 16), (3, 9, 27, 81),
        (0, 1, 2, 3, 4, 6),
    ),
}  # fmt: skip


def default_resolution(dim: int) -> int:
    """Cells an axis where none are asked for: powers of 3, on which the Peano curve needs no embedding.

    **Example:**

        >>> from jaxgen.comparison import default_resolution
        >>> [default_resolution(dim) for dim in (1, 2, 3, 784)]
        [729, 81, 27, 17]
    """
    return {1: 729, 2: 81, 3: 27}.get(dim, 17)
