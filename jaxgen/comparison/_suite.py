"""The suite: how far explicit laws are from what is possible, on laws of which the truth is known."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import jax.random as jr
import numpy as np
from jaxtyping import Float

from .._checks import whole_number
from ..coding import code_length
from ..curves import PeanoCurve
from ..data import KnownLaw, known_laws
from ..distances import data_bound, wasserstein
from ..generators import CodebookGenerator
from ..limits import covering_bits, occupied_volume, zador
from ..measures import TreeMeasure, merge, tree_of_leaves
from ._stages import Stages
from ._suite_report import POINTS_OF_BOUND, AtomsRow, BitsRow, SuiteReport

# Atoms, bits, and evenly placed points that stand for the truth.
_PRESETS = {"quick": ((64,), (256,), 1 << 12), "default": ((16, 256), (2048,), 1 << 13)}
# Of the points that a codebook is made of, so many an atom.
_POINTS_AN_ATOM = 64
# Of the search for a codebook: five times as many gain half a percent, on a heavy tail, and take most of the time.
_STEPS = 100
# No leaf takes fewer.
_BITS_A_LEAF = 4


def compare_suite(
    laws: Mapping[str, KnownLaw] | None = None,
    *,
    atoms: Sequence[int] | None = None,
    bits: Sequence[int] | None = None,
    points: int | None = None,
    seed: int = 0,
    preset: str = "default",
    progress: bool = True,
) -> SuiteReport:
    """Sets explicit laws against the truth, on laws of which it is known, and against what is possible.

    For each law and N, W_2 of three laws on N atoms to it, exactly (`wasserstein`): a codebook, made of other points of
    the law; N points evenly along the curve of a generator of one uniform number; and N random points. They are set
    against Zador's limit or, where it is known, the least error e_N. For each budget of bits, a bound on W_1 of a tree
    to it (`data_bound`), against the covering limit at that error. Theory, section 6.

    **Arguments:**

    - `laws`: by name; by default `jaxgen.data.known_laws()`.
    - `atoms`: each N, at least 2. `bits`: each budget, at least 128.
    - `points`: evenly placed, that stand for the truth where it is compared with atoms, at least twice the largest N.
    - `seed`: of the points. `preset`: "quick" or "default": the defaults of these.
    - `progress`: whether to show what is under way, as `compare` does.

    **Returns:** a `SuiteReport`, with `.table()`, `.bits_table()`, `.notes`, and `.save(folder)`.

    **Raises:** `ValueError` for an unknown preset, and numbers that are too small; `TypeError` for what is no integer.

    **Example:**

        >>> import jaxgen as jg
        >>> cantor = {"Cantor": jg.data.known_laws()["Cantor"]}
        >>> report = jg.comparison.compare_suite(cantor, atoms=[4], bits=[], preset="quick", progress=False)
        >>> row = report.atoms[0]
        >>> row.exact, round(row.limit, 6), round(row.factors["codebook"], 3)  # e_4 = 1 / (9 sqrt(8))
        (True, 0.039284, 1.0)
    """
    if preset not in _PRESETS:
        raise ValueError(f"preset must be one of {', '.join(_PRESETS)}; got {preset!r}")
    sizes, budgets, count = _PRESETS[preset]
    sizes = [whole_number(n, "atoms", 2) for n in (sizes if atoms is None else atoms)]
    budgets = [whole_number(b, "bits", 128) for b in (budgets if bits is None else bits)]
    count = whole_number(count if points is None else points, "points", 2 * max(sizes, default=1))
    seed = whole_number(seed, "seed")
    given = known_laws() if laws is None else laws
    atoms_rows: list[AtomsRow] = []
    bits_rows: list[BitsRow] = []
    stages = Stages(2 * len(given), progress)
    for name, law in given.items():
        made_of = law.points(count, 2 * seed)
        atoms_rows += stages.run(f"{name}, atoms", 1, partial(_atoms_rows, name, law, made_of, sizes, count, seed))
        bits_rows += stages.run(f"{name}, bits", 1, partial(_bits_rows, name, law, made_of, budgets, seed))
    stages.close()
    if stages.interrupted:
        raise KeyboardInterrupt
    return SuiteReport(tuple(atoms_rows), tuple(bits_rows), count)


def _atoms_rows(
    name: str, law: KnownLaw, made_of: Float[np.ndarray, "n d"], sizes: Sequence[int], count: int, seed: int
) -> Iterator[AtomsRow]:
    if not sizes:
        return
    # Made of points of one seed, and judged by those of another.
    along = made_of[PeanoCurve().order(made_of)]
    random = np.random.default_rng(seed)
    truth, weights = law.cloud(count, 2 * seed + 1)
    half, half_weights = law.cloud(count // 2, 2 * seed + 1)
    for n in sizes:
        points, masses = law.cloud(_POINTS_AN_ATOM * n, 2 * seed)
        even = None if np.ptp(masses) == 0 else masses
        book = CodebookGenerator.from_samples(points, n, key=jr.key(seed), weights=even, restarts=1, max_steps=_STEPS)
        atoms, counts = np.asarray(book.atoms), np.asarray(book.counts)
        error = wasserstein(truth, atoms, 2, weights, counts)
        middles = along[(2 * np.arange(n) + 1) * len(along) // (2 * n)]
        clouds = {"along a curve": middles, "random": law(random.random((n, law.source_dim)))}
        yield AtomsRow(
            law=name,
            dim=law.quantization_dim,
            n_atoms=n,
            limit=_limit(law, n),
            exact=law.least is not None,
            errors={"codebook": error, **{k: wasserstein(truth, x, 2, weights) for k, x in clouds.items()}},
            discretisation=abs(error - wasserstein(half, atoms, 2, half_weights, counts)),
        )


def _limit(law: KnownLaw, n: int) -> float:
    if law.least is not None:
        return law.least(n)
    assert law.norm is not None  # a known law has one of the two
    return zador(n, law.dim, law.norm)


def _bits_rows(
    name: str, law: KnownLaw, made_of: Float[np.ndarray, "n d"], budgets: Sequence[int], seed: int
) -> Iterator[BitsRow]:
    truth = law.points(POINTS_OF_BOUND * len(made_of), 2 * seed + 1)
    for budget in budgets:
        # More leaves than so many bits hold, pruned to them: for points as even as these much faster than from points.
        tree: TreeMeasure = merge([tree_of_leaves(made_of, budget // _BITS_A_LEAF)], [1.0], bits=budget)
        w1 = data_bound(truth, tree)
        change = abs(w1 - data_bound(truth[: len(truth) // 2], tree))
        # In units of the error, of which the points occupy so many cells.
        limit = covering_bits(1.0, law.dim, occupied_volume(truth / w1, 1.0))
        yield BitsRow(name, law.dim, budget, code_length(tree), w1, change, limit)
