"""How much work a comparison does, and what else was chosen."""

import dataclasses
import platform

import jax


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that was chosen for a comparison, and where it ran.

    **Arguments:**

    - `steps`, `widths`, `depths`: of the trained networks, made of the first `trained_splits` splits. The best
      of `seeds` seeds is taken, and trained so many times more, at most, as `rounds` says.
    - `tuning`: steps of training after rounding; 0 for none. `pruned`: shares of weights that are zero then, too.
    - `continued`: budgets of laws whose networks are trained on.
    - `peers`: models of other libraries; those that take long are made of the first split.
    - `splits`: random splits of the data into halves. `sources`: values of the source that a law is discretised by.
    - `networks`: families of explicit generators that are judged as ReLU networks too.
    - `budgets`, `precisions`: bits of the explicit generators, and of a weight of the trained ones.
    - `curve_folds`, `curve_levels`: what the curve of error against depth goes through.
    - `integrals`: numbers of points that integrals are estimated from, ascending powers of two; () for no integrals.
    - `resolution`, `folds`, `extra_levels`: of the explicit generators. `seed`: of everything drawn.
    - `train_points`, `held_out_points`: how many there were.
    - `jax`, `device`, `python`: where it ran.

    **Example:**

        >>> from jaxgen.comparison import PRESETS
        >>> PRESETS["quick"].steps < PRESETS["default"].steps < PRESETS["full"].steps
        True
    """

    preset: str
    steps: int
    widths: tuple[int, ...]
    splits: int
    sources: int
    budgets: tuple[int, ...]
    precisions: tuple[int, ...]
    curve_folds: tuple[int, ...] = (0, 1, 2, 4)
    curve_levels: tuple[int, ...] = (0, 1, 2)
    depths: tuple[int, ...] = (4,)
    seeds: int = 1
    rounds: int = 0
    tuning: int = 0
    pruned: tuple[float, ...] = ()
    continued: tuple[int, ...] = ()
    peers: tuple[str, ...] = ("Gaussian mixture", "k-means")
    networks: tuple[str, ...] = ("sawtooth", "Peano", "independent", "codebook", "tree", "grid")
    trained_splits: int = 1
    integrals: tuple[int, ...] = tuple(2**k for k in range(6, 13))
    resolution: int | tuple[int, ...] = 81
    folds: int = 6
    extra_levels: int = 2
    seed: int = 0
    train_points: int = 0
    held_out_points: int = 0
    jax: str = jax.__version__
    device: str = ""
    python: str = platform.python_version()


PRESETS = {
    "quick": Settings(
        "quick", 300, (32,), 2, 2048, (2048,), (8,), networks=("tree",),
        integrals=tuple(2**k for k in range(6, 11)),
    ),
    "default": Settings("default", 3000, (64,), 4, 4096, (512, 2048, 8192), (4, 8)),
    "full": Settings(
        "full", 10000, (8, 32, 128), 4, 8192, tuple(2**k for k in range(8, 18)), (2, 3, 4, 6, 8),
        (0, 1, 2, 3, 4, 6), trained_splits=4, depths=(3, 5), seeds=3, rounds=3, tuning=1000, pruned=(0.5, 0.8),
        continued=(512, 2048),
        peers=(
            "Gaussian mixture", "k-means", "kernel density", "coupling flow", "spline flow", "flow matching",
            "semi-discrete map",
        ),
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
