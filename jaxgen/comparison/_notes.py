"""What a reader of a report must know beside its numbers."""

import math
from collections.abc import Iterator, Mapping, Sequence

from ..training import Fitted
from ._records import Entry, IntegralError, Integrals
from ._settings import Settings

# Of the uniform square and cube, as cells get small: W_1 times a power of the length, over the least that any curve of
# that length can have (theory, section 10; the tests hold these to its table, and the table to exact transport).
OPTIMALITY = {
    2: {"serpentine": 1.0, "Peano line": 1.25, "zigzag": 1.333, "Peano diagonal": 1.53, "Hilbert line": 2.099},
    3: {"serpentine": 1.017, "Peano line": 1.163, "zigzag": 1.386, "Peano diagonal": 1.515, "Hilbert line": 1.509},
}


def notes(
    settings: Settings,
    entries: Sequence[Entry],
    networks: Mapping[str, Fitted],
    left_out: int,
    interrupted: bool,
    integrals: Integrals = Integrals(),  # noqa: B008  (frozen, and so shared safely)
) -> Iterator[str]:
    """One sentence or two each."""
    apart = max((e.certificate.w1 for e in entries if e.kind == "explicit" and e.certificate), default=0.0)
    made = "the first only" if settings.trained_splits == 1 else f"the first {settings.trained_splits}"
    yield (
        f"W1 is measured from laws, not from samples of them: each is discretised by about {settings.sources:,} values "
        "of its source, and solved exactly; in several dimensions that adds some percent to the smallest errors. Of an "
        f"exact kernel it is the law of its measure: W1 between the two is at most {apart:.2g}, proven."
    )
    yield (
        "To its points: to the half it was made from. To held-out points: to the other half, mean ± standard deviation "
        f"over {settings.splits} random splits; networks, which take long, are made of {made}."
    )
    if any(entry.per_label for entry in entries):
        yield "With labels, distances are from samples that have the labels of the points, and carry their noise."
    yield (
        "Certified: a proven bound on W1 to the points that a generator was made from, in the floats that come out; of "
        "a network, in the floats that it is evaluated in, which is where it can be large."
    )
    coarse = [
        entry
        for entry in entries
        if entry.kind != "network" and entry.near and entry.rounding and entry.rounding > entry.near / 100
    ]
    if coarse:
        names, most = "; ".join(entry.name for entry in coarse), max(entry.rounding or 0 for entry in coarse)
        yield (
            f"The last rounding to a float matters here ({names}): it may move points by {most:.2g} on average. Points "
            "relative to the corner of the box (`sample(..., relative=True)`) and float64 (`jax_enable_x64`) are free "
            "of it."
        )
    yield from _optimality(entries)
    limited = [entry for entry in entries if entry.limit]
    if limited:
        yield (
            "The least W1 of its size is proven too: nothing with as many atoms, or no network with one input of such "
            "depth and width, is nearer to the given points, whatever its weights; none where nothing is. The "
            f"largest here is {max(map(_limit, limited)):.3g} ({max(limited, key=_limit).name})."
        )
    yield from _sources(entries)
    yield from _integrals(integrals)
    yield (
        "Bits: of the whole encoded file, of a network that of its weights; 32 for each weight of a trained one (the "
        "planes show what fewer bits do)."
    )
    if any(entry.kind == "peer" for entry in entries):
        yield (
            "Models of other libraries: parameters of mixtures at 12 bits, centres of k-means by ideal codes of places "
            "and quanta, and 32 bits a number for all else."
        )
    if left_out:
        yield f"{left_out} held-out points are left out: no training point has their label."
    for absence in dict.fromkeys(absence for entry in entries for absence in entry.absent):
        names = "; ".join(entry.name for entry in entries if absence in entry.absent)
        yield f"No {absence.what} ({names})" + (f": {absence.why.rstrip('.')}." if absence.why else ".")
    if networks:
        f = next(iter(networks.values()))
        assert f.epsilon is not None  # trained with the loss of `fit`
        yield (
            f"Trained networks: {len(f.losses)} Adam steps on the Sinkhorn divergence, batches of {f.batch_size}, peak "
            f"learning rate {f.learning_rate:g} with warm-up and cosine decay, epsilon from {f.epsilon[0]:.3g} down to "
            f"{f.epsilon[1]:.3g} (squared units of the data). Learning rate, epsilon, batch size and depth were tuned "
            "once on the US airports for the time such a run takes; see the documentation of `fit`."
        )
        if settings.seeds > 1:
            yield (
                f"Of each trained network the best of {settings.seeds} seeds is taken, by a fifth of the half that it "
                f"is made of, and trained up to {settings.rounds} times as long again while that brings it nearer to "
                "its points."
            )
    if interrupted:
        reached = any(fitted.interrupted for fitted in networks.values())
        yield "The comparison was interrupted: what comes later is missing" + (
            ", and the last network shows the best state it had reached." if reached else "."
        )


def _sources(entries: Sequence[Entry]) -> Iterator[str]:
    """What one uniform number costs, beside as many as there are dimensions."""
    found = {entry.name: entry for entry in entries}
    one, many = found.get("sawtooth"), found.get("independent")
    if one and many and one.near and one.certificate:
        yield (
            f"One uniform number (sawtooth) instead of {many.source_dim} (independent), on one measure: W1 between the "
            f"two laws is at most {one.certificate.w1:.2g}, proven, {100 * one.certificate.w1 / one.near:.2g} % of "
            "their error."
        )


def _integrals(found: Integrals) -> Iterator[str]:
    """Measured and proven slopes, and where Sobol points are better."""
    if not found.errors:
        yield f"No integrals are compared: {found.absent or 'none were asked for'}."
        return
    most, names = found.sizes[-1], list(dict.fromkeys(error.integrand for error in found.errors))
    each = {name: {error.points: error for error in found.errors if error.integrand == name} for name in names}
    yield (
        f"Integrals on the law of the training points on the grid, of {found.keys} functions each of z, a random sum "
        "or difference of coordinates in cells, standardised and shifted: root mean square error from "
        f"{most:,} points, and slope against their number (in brackets the one proven for a density without gaps). "
        + " ".join(f"{_formula(name)}: {'; '.join(map(_converges, each[name].values()))}." for name in names)
    )
    yield (
        f"Scrambled Sobol points ({found.dim} uniform number{'s'[: found.dim > 1]} each, through the inverse "
        f"Rosenblatt map) against the better of stratified and extensible points (one each), {most:,} of them: "
        + "; ".join(f"{name}: {_verdict(each[name])}" for name in names)
        + "."
    )


def _formula(integrand: str) -> str:
    return {"smooth": "Smooth, cos z", "rough": "Rough, |z|", "indicator": "Indicator of z > 0"}[integrand]


def _converges(error: IntegralError) -> str:
    theory = "" if error.theory is None else f" [{error.theory:.2f}]"
    return f"{error.points} {error.rmse[-1]:.2g}, {error.slope:.2f}{theory}"


def _verdict(errors: Mapping[str, IntegralError]) -> str:
    """Whether Sobol points win or lose, beyond two standard errors of the logarithm of the ratio."""
    own = min((errors[points] for points in ("stratified", "extensible")), key=lambda error: error.rmse[-1])
    sobol = errors["Sobol"]
    small, large = sorted((own.rmse[-1], sobol.rmse[-1]))
    if small == large:
        return "the same error"
    times = large / small if small else math.inf
    if math.log(times) <= 2 * math.hypot(own.uncertainty, sobol.uncertainty):
        return f"no difference seen (a factor of {times:.2g})"
    wins = sobol.rmse[-1] == small
    return f"Sobol {'wins' if wins else 'loses'}, with an error {times:.2g} times {'smaller' if wins else 'larger'}"


def _limit(entry: Entry) -> float:
    return entry.limit or 0.0


def _optimality(entries: Sequence[Entry]) -> Iterator[str]:
    """In what sense the transport of the explicit generators is optimal."""
    factors = OPTIMALITY.get(next((entry.samples.shape[1] for entry in entries if entry.samples is not None), 0))
    if factors:
        yield (
            "One number makes a curve, and the longer it is the nearer it can be to a law. On the uniform "
            f"{'square' if factors is OPTIMALITY[2] else 'cube'}, as cells get small, W1 times "
            "length^(1/(d-1)) is so many times the least of any curve: "
            + ", ".join(f"{path} {factor:.3g}" for path, factor in factors.items())
            + ". (docs/theory.md, section 10, has the table, also by depth and weights.)"
        )
