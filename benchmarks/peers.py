"""jaxgen against other tools, bits counted the same way: which file is shorter at equal exact W_1 to the points?

`python benchmarks/peers.py`; `--smoke` for a size that takes seconds. Every tool is run at several sizes; each of its
files has a law, whose W_1 to the points is computed exactly (on the line by distribution functions, in the plane by a
network simplex), and is set beside the bits that jaxgen takes for that W_1, interpolated between the files of a
ladder of budgets. Where a tool has no file format of its own it gets the shortest that we can think of: an ideal code
for what it must tell, and a short header. `pip install "jaxgen[peers]"` installs the tools; those that are missing are
named and left out.
"""

import argparse
import functools
import importlib
import lzma
import math
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import ot
from scipy.special import gammaln
from scipy.stats import qmc
from tabulate import tabulate

import jaxgen as jg
from jaxgen.measures import line_error, trees

SEED, PARTS = 0, 12288


class File(NamedTuple):
    """What a tool made: its setting, the bits of the file, and W_1 from the points to its law."""

    setting: str
    bits: float
    error: float


class Missing(Exception):
    """A package that is not installed."""


def needs(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as reason:
        raise Missing(name.split(".")[0]) from reason


def header(d: int) -> int:
    """Bits for a size and for a box, 16 for each of its corners' numbers: of tools without a file format."""
    return 16 + 32 * d


def log2_binomial(n: float, k: float) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)) / math.log(2)


def box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = points.min(axis=0), points.max(axis=0)
    return low, np.where(high > low, high - low, 1.0)


# Distances.


def to_atoms(points: np.ndarray, atoms: np.ndarray, masses: np.ndarray) -> float:
    """W_1 between the points and weighted atoms."""
    share = masses / masses.sum()
    if points.shape[1] == 1:
        x, y = np.sort(points[:, 0]), np.argsort(atoms[:, 0])
        # Both quantile functions are constant between the jumps of either.
        jumps = np.cumsum(share[y])
        ends = np.union1d(np.clip(jumps, 0, 1), np.arange(1, len(x) + 1) / len(x))
        middle = ends - np.diff(ends, prepend=0.0) / 2
        of_points = x[np.minimum((middle * len(x)).astype(int), len(x) - 1)]
        of_atoms = atoms[y, 0][np.minimum(np.searchsorted(jumps, middle), len(y) - 1)]
        return float(np.abs(of_points - of_atoms) @ np.diff(ends, prepend=0.0))
    weights = np.full(len(points), 1 / len(points))
    return float(ot.emd2(weights, share, ot.dist(points, atoms, "euclidean"), numItermax=10**7))


def to_quantiles(points: np.ndarray, quantile: Callable[[np.ndarray], np.ndarray]) -> float:
    """W_1 on the line by the quantile function of a law, at four ranks a point."""
    ranks = (np.arange(4 * len(points)) + 0.5) / (4 * len(points))
    return float(np.abs(quantile(ranks) - np.repeat(np.sort(points[:, 0]), 4)).mean())


def to_law(points: np.ndarray, law) -> float:
    """W_1 to a measure of jaxgen: atoms, or uniform in boxes."""
    corners, sides, masses = (np.asarray(part, np.float64) for part in (law.low_corners, law.sides, law.masses))
    if not sides.any():
        return to_atoms(points, corners, masses)
    if points.shape[1] == 1:
        return line_error(points[:, 0], corners[:, 0], sides[:, 0], masses)
    # A box of the plane is cut in t x t parts, each an atom at its centre: about 1/PARTS of the mass each.
    # Fewer are not enough: 4,096 give 0.213 for 0.225 at 8,192 bits on the airports.
    atoms, shares = [], []
    for t in range(1, math.isqrt(PARTS) + 1):
        mine = np.maximum(np.round(np.sqrt(masses / masses.sum() * PARTS)), 1) == t
        places = (np.stack(np.meshgrid(np.arange(t), np.arange(t)), axis=-1).reshape(-1, 2) + 0.5) / t
        atoms.append((corners[mine, None] + sides[mine, None] * places).reshape(-1, 2))
        shares.append(np.repeat(masses[mine] / t**2, t**2))
    return to_atoms(points, np.concatenate(atoms), np.concatenate(shares))


# Tools.


def jaxgen(points: np.ndarray, budgets) -> Iterator[File]:
    """The best tree of each budget, which is what `jg.quantize` takes for many points."""
    for bits in budgets:
        data = jg.encode(min(trees(points, bits), key=lambda pair: pair[1])[0])
        law = jg.decode(data)
        yield File(f"{law.size} leaves", 8 * len(data), to_law(points, law))


def t_digest(points: np.ndarray, sizes) -> Iterator[File]:
    """As serialised: mean and weight in float64. The law is its own quantile function, which is piecewise linear."""
    for size in sizes:
        sketch = needs("fastdigest").TDigest.from_values(points[:, 0], max_centroids=size)
        error = to_quantiles(points, lambda u, sketch=sketch: np.asarray(sketch.quantile_vec(u)))
        yield File(f"{sketch.n_centroids} centroids", 8 * len(sketch.to_bytes()), error)


def t_digest_packed(points: np.ndarray, sizes) -> Iterator[File]:
    """The same sketch as the small encodings of other libraries have it: float32 means, weights in groups of 7 bits."""
    for size in sizes:
        sketch = needs("fastdigest").TDigest.from_values(points[:, 0], max_centroids=size)
        weights = np.array([weight for _, weight in sketch.centroids])
        # Both ends, and the number of centroids, besides.
        used = 80 + 32 * len(weights) + 8 * np.ceil(np.log2(weights + 1) / 7).sum()
        error = to_quantiles(points, lambda u, sketch=sketch: np.asarray(sketch.quantile_vec(u)))
        yield File(f"{len(weights)} centroids", float(used), error)


def kll(points: np.ndarray, sizes) -> Iterator[File]:
    """As serialised: float32 items. The law is that of the weighted items."""
    for size in sizes:
        sketch = needs("datasketches").kll_floats_sketch(size)
        sketch.update(points[:, 0].astype(np.float32))
        error = to_quantiles(points, lambda u, sketch=sketch: np.asarray(sketch.get_quantiles(u)))
        yield File(f"k = {size}", 8 * len(sketch.serialize()), error)


def draco(points: np.ndarray, sizes) -> Iterator[File]:
    """A codec for clouds of points in space: the plane has a third coordinate 0."""
    tool = needs("DracoPy")
    space = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
    for size in sizes:
        data = tool.encode(space.astype(np.float32), quantization_bits=size, compression_level=10)
        atoms = np.asarray(tool.decode(data).points, np.float64)[:, :2]
        yield File(f"{size} bits an axis", 8 * len(data), to_atoms(points, atoms, np.ones(len(atoms))))


def thinning(points: np.ndarray, halvings) -> Iterator[File]:
    """Kernel thinning: a subset of the points, told as a multiset of lattice points by an ideal code."""
    tool = needs("goodpoints.kt")
    low, side = box(points)
    length = float(np.median(np.linalg.norm(points[:500, None] - points[None, :500], axis=-1)))

    def kernel(y, x):
        return np.exp(-np.linalg.norm(x - y, axis=-1) / length)

    for m in halvings:
        chosen = points[tool.thin(points, m, kernel, kernel, seed=SEED)]
        for digits in (4, 5, 6, 7):
            n = 1 << digits
            atoms = low + side * (np.minimum(np.floor((chosen - low) / side * n), n - 1) + 0.5) / n
            used = header(points.shape[1]) + log2_binomial(n ** points.shape[1] + len(atoms) - 1, len(atoms))
            yield File(
                f"{len(atoms)} points, {digits} bits an axis", used, to_atoms(points, atoms, np.ones(len(atoms)))
            )


def k_means(points: np.ndarray, sizes) -> Iterator[File]:
    """Centres on a lattice, and how many of 8 quanta a centre each has: a subset and a composition, by ideal codes."""
    low, side = box(points)
    for size in sizes:
        found = needs("sklearn.cluster").KMeans(size, n_init=1, max_iter=50, random_state=SEED).fit(points)
        for digits in (4, 6, 8, 10):
            n, d = 1 << digits, points.shape[1]
            cells = np.minimum(np.floor((found.cluster_centers_ - low) / side * n), n - 1)
            cells, which = np.unique(cells, axis=0, return_inverse=True)
            masses = np.bincount(which.ravel(), np.bincount(found.labels_, minlength=size))
            quanta = min(8 * size, len(points))
            counts = np.maximum(np.diff(np.round(np.cumsum(masses) / len(points) * quanta), prepend=0), 1)
            used = header(d) + log2_binomial(n**d, len(cells)) + log2_binomial(counts.sum() - 1, len(cells) - 1)
            yield File(
                f"{size} centres, {digits} bits an axis", used, to_atoms(points, low + side * (cells + 0.5) / n, counts)
            )


def counts_by(pack: Callable[[np.ndarray], int]):
    """Counts of the cells of a grid, in as many quanta as there are points or an eighth of them, packed by a tool."""

    def tool(points: np.ndarray, sizes) -> Iterator[File]:
        for n in sizes:
            for part in (1, 8):
                counts, error = histogram(points.tobytes(), points.shape[1], n, part)
                yield File(f"side {n}, points / {part}", header(points.shape[1]) + pack(counts), error)

    return tool


@functools.lru_cache
def histogram(data: bytes, d: int, n: int, part: int) -> tuple[np.ndarray, float]:
    """The counts of a grid and W_1 to its law, uniform in the cells: solved once for all packers."""
    points = np.frombuffer(data).reshape(-1, d)
    low, side = box(points)
    cells = np.minimum(((points - low) / side * n).astype(int), n - 1)
    full = np.bincount(np.ravel_multi_index(tuple(cells.T), (n,) * d), minlength=n**d)
    counts = np.diff(np.floor(np.cumsum(full) / part + 0.5), prepend=0.0).astype(np.int64)
    law = jg.GridMeasure.from_histogram(counts.reshape((n,) * d), low=low, high=low + side)
    return counts, to_law(points, law)


def as_bytes(counts: np.ndarray) -> bytes:
    return counts.astype(np.uint8 if counts.max() < 256 else np.uint16 if counts.max() < 65536 else np.uint32).tobytes()


def by_zlib(counts: np.ndarray) -> int:
    return 8 * len(zlib.compress(as_bytes(counts), 9, wbits=-15))


def by_lzma(counts: np.ndarray) -> int:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    return 8 * len(lzma.compress(as_bytes(counts), lzma.FORMAT_RAW, filters=filters))


def by_zstd(counts: np.ndarray) -> int:
    tool = needs("zstandard")
    settings = tool.ZstdCompressionParameters.from_level(
        22, write_content_size=False, format=tool.FORMAT_ZSTD1_MAGICLESS
    )
    return 8 * len(tool.ZstdCompressor(compression_params=settings).compress(as_bytes(counts)))


def by_constriction(counts: np.ndarray) -> int:
    """Range coding with frequencies learned on the way: of 0 ... 14 and "more", which is followed by Elias' gamma."""
    stream = needs("constriction").stream
    encoder, seen, far = stream.queue.RangeEncoder(), np.full(16, 0.1), 0
    for count in counts.tolist():
        symbol = min(count, 15)
        far += 2 * int(math.log2(count - 14)) + 1 if symbol == 15 else 0
        encoder.encode(symbol, stream.model.Categorical(seen / seen.sum(), perfect=False))
        seen[symbol] += 1
    return far + 32 * len(encoder.get_compressed())


def mixture(points: np.ndarray, sizes) -> Iterator[File]:
    """A Gaussian mixture with parameters of 8 or 12 bits: weights, means, and factors of the covariances."""
    d, (low, side) = points.shape[1], box(points)
    for size in sizes:
        found = needs("sklearn.mixture").GaussianMixture(size, random_state=SEED, reg_covar=1e-6).fit(points)
        for digits in (8, 12):
            levels = 2**digits - 1
            means = low + side * np.round((found.means_ - low) / side * levels) / levels
            factors = np.linalg.cholesky(found.covariances_)
            # Scales are told on a logarithmic scale of 20 octaves below the box, the rest relative to them.
            scales = np.einsum("kii->ki", factors)
            steps = np.round(np.log2(scales / side) * levels / 20)
            coded = side * np.exp2(steps * 20 / levels)
            slants = np.round(factors / scales[:, None, :] * levels / 16) / levels * 16
            factors = np.tril(slants, -1) * coded[:, None, :] + np.einsum("ki,ij->kij", coded, np.eye(d))
            weights = np.maximum(np.round(found.weights_ * levels), 1)
            atoms = normals(means, factors, weights / weights.sum(), PARTS if d > 1 else len(points))
            used = header(d) + digits * size * (1 + d + d * (d + 1) // 2)
            yield File(f"{size} normals, {digits} bits", used, to_atoms(points, atoms, np.ones(len(atoms))))


def normals(means: np.ndarray, factors: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """Points that fill a Gaussian mixture evenly, by quasi-Monte Carlo in each component."""
    ends = np.round(np.cumsum(weights) * n).astype(int)
    parts, d = [], means.shape[1]
    for mean, factor, m in zip(means, factors, np.diff(ends, prepend=0), strict=True):
        if d == 1:
            from scipy.special import ndtri

            standard = ndtri((np.arange(m) + 0.5) / max(m, 1))[:, None]
        else:
            standard = qmc.MultivariateNormalQMC(np.zeros(d), rng=np.random.default_rng(SEED)).random(int(m))
        parts.append(mean + standard @ factor.T)
    return np.concatenate(parts)


# Comparison.


def bits_for(error: float, ladder: list[File]) -> float:
    """The bits of jaxgen for an error, on the line between two files, on logarithmic scales; nan beyond the ladder."""
    best = np.minimum.accumulate([file.error for file in ladder])
    return float(
        np.exp(
            np.interp(math.log(error), np.log(best)[::-1], np.log([f.bits for f in ladder])[::-1], math.nan, math.nan)
        )
    )


def frontier(files: list[File]) -> list[File]:
    """Those that no other file of the same tool beats in both bits and error."""
    kept: list[File] = []
    for file in sorted(files, key=lambda f: (f.bits, f.error)):
        if not kept or file.error < kept[-1].error:
            kept.append(file)
    return kept


def compare(name: str, points: np.ndarray, budgets, tools) -> list[str]:
    """Prints the table of a data set; gives a sentence for each tool."""
    ladder = frontier(list(jaxgen(points, budgets)))
    print(f"\n{name}: {len(points):,} points")
    print(
        tabulate([[f.setting, f.bits, f.error] for f in ladder], ["jaxgen", "bits", "W_1"], floatfmt=".4g"), flush=True
    )
    rows, verdicts = [], []
    for tool, (make, sizes) in tools.items():
        try:
            files = frontier(list(make(points, sizes)))
        except Missing as reason:
            verdicts.append(f"{name}, {tool}: left out, since {reason} is not installed")
            continue
        against = [(f, bits_for(f.error, ladder)) for f in files]
        rows += [[tool, f.setting, f.bits, f.error, ours, f.bits / ours] for f, ours in against]
        known = [(f, ours) for f, ours in against if not math.isnan(ours)]
        won = [f for f, ours in known if f.bits < ours]
        if not known:
            verdicts.append(f"{name}, {tool}: no file within the errors of the ladder")
            continue
        ratios = [f.bits / ours for f, ours in known]
        where = ", ".join(f"W_1 {f.error:.3g} ({f.bits:,.0f} bits)" for f in won) or "nowhere"
        verdicts.append(
            f"{name}, {tool}: {min(ratios):.2f} to {max(ratios):.2f} times jaxgen's bits; shorter at {where}"
        )
    print(tabulate(rows, ["tool", "setting", "bits", "W_1", "jaxgen bits", "ratio"], floatfmt=".4g"), flush=True)
    return verdicts


def laws(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(SEED)
    halves = np.where(rng.random(n) < 0.5, rng.normal(size=n), 5 + 0.01 * rng.normal(size=n))
    return {"normal": rng.normal(size=n), "lognormal": rng.lognormal(size=n), "two scales": halves}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--only", help="one data set: normal, lognormal, two scales, airports")
    args = parser.parse_args()
    # Components of a mixture have as many points as they have mass, no powers of two.
    warnings.filterwarnings("ignore", "The balance properties of Sobol")
    few = slice(0, 2) if args.smoke else slice(None)
    packers = {"zlib": by_zlib, "lzma": by_lzma, "zstd": by_zstd, "constriction": by_constriction}
    packed = {f"grid, {name}": (counts_by(pack), [64, 256, 1024, 4096]) for name, pack in packers.items()}
    line = {
        "t-digest": (t_digest, [8, 16, 32, 64, 128, 256, 512]),
        "t-digest, packed": (t_digest_packed, [8, 16, 32, 64, 128, 256, 512]),
        "KLL": (kll, [8, 32, 128, 512, 2048]),
        "k-means": (k_means, [8, 32, 128]),
        **packed,
        "Gaussian mixture": (mixture, [1, 2, 4, 8]),
    }
    plane = {
        "Draco": (draco, [3, 4, 5, 6, 7, 8, 9, 10]),
        "kernel thinning": (thinning, [6, 5, 4, 3]),
        "k-means": (k_means, [32, 128, 512]),
        **{name: (make, [16, 32, 64]) for name, (make, _) in packed.items()},
        "Gaussian mixture": (mixture, [4, 16, 64]),
    }
    sets = {name: (points[:, None], line) for name, points in laws(1000 if args.smoke else 100_000).items()}
    airports = np.asarray(jg.data.airports().points, np.float64)
    sets["airports"] = (airports[::16] if args.smoke else airports, plane)
    verdicts = []
    for name, (points, tools) in sets.items():
        if args.only not in (None, name) or (args.smoke and name in ("normal", "lognormal")):
            continue
        d = points.shape[1]
        budgets = [round(2 ** (k / 2)) for k in (range(14, 27) if d == 1 else range(17, 29))]
        chosen = {tool: (make, sizes[few]) for tool, (make, sizes) in tools.items()}
        verdicts += compare(name, points, budgets[:: 4 if args.smoke else 1], chosen)
    print("\n" + "\n".join(verdicts))


if __name__ == "__main__":
    main()
