"""What a reader of a report must know beside its numbers."""

from collections.abc import Iterator, Mapping, Sequence

from ..training import Fitted
from ._records import Entry
from ._settings import Settings

# Of the uniform square and cube, as cells get small: W_1 times a power of the length, over the least that any curve of
# that length can have (theory, section 10; the tests hold these to its table, and the table to exact transport).
OPTIMALITY = {
    2: {"serpentine": 1.0, "Peano line": 1.25, "zigzag": 1.333, "Peano diagonal": 1.53, "Hilbert line": 2.099},
    3: {"serpentine": 1.017, "Peano line": 1.163, "zigzag": 1.386, "Peano diagonal": 1.515, "Hilbert line": 1.509},
}


def notes(settings: Settings, entries: Sequence[Entry], networks: Mapping[str, Fitted]) -> Iterator[str]:
    """One sentence or two each."""
    yield (
        f"Distances are exact (assignment) between {settings.points_per_distance} samples and "
        f"{settings.points_per_distance} held-out points, mean ± standard deviation over {settings.repeats} repeats. "
        "The two-sample floor is what the training points themselves score: a law that fits perfectly scores about "
        "that much."
    )
    yield (
        "Certificates are proven bounds on W1 and W2 between the law of a generator, as floats of the type that comes "
        "out, and the measure it was built from; beside them to the points that the measure was made from, for the "
        "explicit ones the training points."
    )
    coarse = [entry for entry in entries if entry.w1 and entry.rounding and entry.rounding > entry.w1.mean / 100]
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
            "The least W1 of its size is proven too, to the law of the training points on a grid: nothing with as "
            "many atoms, or no network with one input of such depth and width, is nearer, whatever its weights. The "
            f"largest here is {max(map(_limit, limited)):.3g} ({max(limited, key=_limit).name})."
        )
    one, many = entries[0], entries[2]
    if one.w1 and many.w1 and one.certificate:
        allowed, spread = one.certificate.w1, max(one.w1.std, many.w1.std)
        seen = abs(one.w1.mean - many.w1.mean) > allowed + 2 * spread
        yield (
            f"One uniform number instead of {many.source_dim}: W1 is {one.w1.mean:.4g} with one (sawtooth) and "
            f"{many.w1.mean:.4g} with {many.source_dim} (independent), a difference "
            f"{'beyond' if seen else 'within'} the {allowed:.2g} of the certificate and twice the spread over repeats, "
            f"{spread:.2g}."
        )
    yield (
        "Bits: the whole encoded file of an explicit generator; 32 for each weight of a trained one (the plane shows "
        "what fewer bits do)."
    )
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
    if any(fitted.interrupted for fitted in networks.values()):
        yield "Training was interrupted: the networks show the best state they had reached."


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
