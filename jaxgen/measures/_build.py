"""Constructors of grid measures: points, histograms, densities and images to cells and masses, on the host."""

import itertools
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import box_corners, finite_points, grid_resolution, nonnegative_weights, require_volume
from ._record import Record
from ._short_box import short_box
from ._vocabulary import encode_labels


def samples_to_grid(points, resolution, weights, low, high, labels, clip, box_bits) -> dict:
    """Fields of the histogram of points; see `GridMeasure.from_samples`."""
    points = finite_points(points)
    count, dim = points.shape
    if count < 2:
        raise ValueError("points must hold at least two points; got one")
    resolution = grid_resolution(resolution, dim)
    given_low, given_high = low is not None, high is not None
    least, most = _extent(points)
    least, most = _single_box(least, most) if box_bits is None else short_box(least, most, box_bits)
    given = low, high
    low, high = box_corners(least if low is None else low, most if high is None else high, dim)
    if given_low and given_high:
        require_volume(low, high)
    if (given_low or given_high) and (out := outside(points, low, high, *given)) and not clip:
        raise ValueError(
            f"{out} of {count} points lie outside the box low={low}, high={high}; "
            "enlarge the box or pass clip=True to move them to its border"
        )
    if weights is not None:
        weights = nonnegative_weights(weights, "weights", count)
    codes, vocabulary = encode_labels(labels, count)
    record = _record_of(points, low, high, resolution, weights, codes)
    cells, codes, masses = count_cells(points, low, high, resolution, weights, codes)
    return dict(
        cells=cells,
        masses=masses,
        low=low,
        high=high,
        resolution=resolution,
        labels=codes,
        vocabulary=vocabulary,
        record=record,
    )


def outside(points, low, high, *given) -> int:
    """How many points lie outside a box.

    Compared in the coarsest type that they or the box, as it was `given`, have: 0.1 in one type is no 0.1 in another.
    """
    coarse = _coarsest(points, *given)
    with np.errstate(over="ignore"):
        first, last, least, most = (array.astype(coarse) for array in (*_extent(points), low, high))
        if not np.any((first < least) | (last > most)):
            return 0
        x = points.astype(coarse)
    return int(np.any((x < least) | (x > most), axis=1).sum())


def _extent(points):
    """Least and largest of each coordinate; several points a row, because NumPy reduces short rows one by one."""
    count, dim = points.shape
    rows = max(1, min(count, 256 // dim))
    whole = count // rows * rows
    wide = np.ascontiguousarray(points[:whole]).reshape(-1, rows * dim)
    return tuple(
        extreme(np.concatenate([extreme(wide, axis=0).reshape(rows, dim), points[whole:]]), axis=0)
        for extreme in (np.min, np.max)
    )


def _single_box(least, most):
    """A bounding box in float32, rounded outwards, on the axes that it makes no more than 2**-16 wider.

    In a file a float32 is half as long as a float64. A constant coordinate, and a box far from 0, stay what they are.
    """
    exact = np.stack([least, most]).astype(np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(np.float32)
        wrong = np.stack([near[0] > exact[0], near[1] < exact[1]])
        away = np.array([[-np.inf], [np.inf]], np.float32)
        near = np.where(wrong, np.nextafter(near, away), near).astype(np.float64)
    wide = exact[1] - exact[0]
    short = (wide > 0) & (near[1] - near[0] - wide <= 2.0**-16 * wide)
    return np.where(short, near, exact)


def _coarsest(*arrays):
    """The floating type with the fewest bits among those of the arrays that have one."""
    kinds = [np.asarray(array).dtype for array in arrays if array is not None]
    return min((kind for kind in kinds if kind.kind == "f"), key=lambda kind: kind.itemsize, default=np.float64)


def cell_columns(points, low, high, resolution):
    """Cell coordinates of the points, one axis at a time."""
    for k, n in enumerate(resolution):
        width = float(high[k]) - float(low[k])
        if width == 0 or n == 1:
            yield np.zeros(len(points), np.int32)
        else:
            index = (points[:, k].astype(np.float64) - float(low[k])) * (n / width)
            yield np.clip(index, 0, n - 1).astype(np.int32)


def _record_of(points, low, high, resolution, weights, codes):
    """How many points, and how far from the centres of their cells: all, and those of each label."""
    distance = np.zeros(len(points))
    for k, column in enumerate(cell_columns(points, low, high, resolution)):
        center = float(low[k]) + (column + 0.5) * ((float(high[k]) - float(low[k])) / resolution[k])
        np.hypot(distance, points[:, k].astype(np.float64) - center, out=distance)
    total = len(points) if weights is None else None
    weights = np.ones(len(points)) if weights is None else weights
    unit = float(distance.max()) or 1.0  # so that no square overflows or vanishes
    distance /= unit

    def bounds(groups):
        mass = np.bincount(groups, weights)
        mass[mass == 0] = 1
        first, second = (np.bincount(groups, weights * distance**p) / mass for p in (1, 2))
        return tuple((unit * w1, unit * w2) for w1, w2 in zip(first, second**0.5, strict=True))

    (every,) = bounds(np.zeros(len(points), np.int64))
    return Record({"points": every}, {} if codes is None else {"points": bounds(codes)}, total)


def count_cells(points, low, high, resolution, weights, codes):
    """Occupied (label, cell) pairs and their weights."""
    labels = 1 if codes is None else int(codes.max()) + 1
    size = labels * math.prod(resolution)
    if size < 1 << 62 and len(resolution) < 64:
        # The grid has few enough cells to number them in 64 bits, and axes for NumPy to number.
        shape = (labels, *resolution)
        flat = np.zeros(len(points), np.int64) if codes is None else codes.astype(np.int64)
        for n, column in zip(resolution, cell_columns(points, low, high, resolution), strict=True):
            flat *= n
            flat += column
        if size <= 2 * len(points) + (1 << 16):
            masses = np.bincount(flat, weights, minlength=1)
            occupied = np.flatnonzero(masses > 0)
            masses = masses[occupied]
        elif weights is None:
            occupied, masses = np.unique(flat, return_counts=True)
        else:
            occupied, inverse = np.unique(flat, return_inverse=True)
            masses = np.bincount(inverse, weights)
        cells = np.stack(np.unravel_index(occupied, shape), axis=1)
        return cells[:, 1:].astype(np.int32), None if codes is None else cells[:, 0], masses
    cells = np.stack(list(cell_columns(points, low, high, resolution)), axis=1)
    return merge_cells(cells, codes, np.ones(len(points)) if weights is None else weights)


def histogram_to_grid(histogram, low, high) -> dict:
    """Fields of a dense histogram; see `GridMeasure.from_histogram`."""
    histogram = np.asarray(histogram)
    if histogram.ndim == 0 or histogram.size == 0:
        raise ValueError(f"histogram must have at least one axis and one cell; got shape {histogram.shape}")
    masses = nonnegative_weights(histogram, "histogram")
    low, high = box_corners(low, high, histogram.ndim)
    require_volume(low, high)
    occupied = np.nonzero(masses)
    whole = np.issubdtype(histogram.dtype, np.integer)
    return dict(
        cells=np.stack(occupied, axis=1).astype(np.int32),
        masses=masses[occupied],
        low=low,
        high=high,
        resolution=histogram.shape,
        record=Record(total=int(histogram.sum())) if whole else None,
    )


def density_to_grid(density, resolution, low, high, dim, nodes) -> dict:
    """Fields of the cell masses of a density; see `GridMeasure.from_density`."""
    sizes = {np.size(a) for a in (resolution, low, high) if np.ndim(a) == 1} | ({dim} if dim is not None else set())
    if len(sizes) != 1:
        raise ValueError(
            "the dimension must be clear and one: give dim=, or one entry an axis in resolution, low or high; "
            f"got dimensions {sorted(sizes) or 'none'}"
        )
    if nodes < 1:
        raise ValueError(f"nodes must be at least 1; got {nodes}")
    dim = sizes.pop()
    resolution = grid_resolution(resolution, dim)
    low, high = box_corners(low, high, dim)
    require_volume(low, high)
    if math.prod(resolution) > 1 << 27:
        raise ValueError(
            f"a grid of {math.prod(resolution)} cells is too large to evaluate a density on (2**27 at most)"
        )
    cells = np.indices(resolution).reshape(dim, -1).T.astype(np.int32)
    places, gauss = np.polynomial.legendre.leggauss(nodes)
    side = (high - low) / np.array(resolution)
    at = jax.jit(jax.vmap(density))
    masses = np.zeros(len(cells))
    for node in itertools.product(range(nodes), repeat=dim):
        x = low + (cells + (1 + places[list(node)]) / 2) * side
        values = np.asarray(at(jnp.asarray(x, jnp.result_type(float))), np.float64)
        if values.shape != (len(cells),):
            raise ValueError(
                f"density must return a scalar for one point of shape ({dim},); got shape {values.shape[1:]}"
            )
        masses += np.prod(gauss[list(node)]) * nonnegative_weights(values, "density") if values.any() else 0.0
    return dict(cells=cells, masses=masses, low=low, high=high, resolution=resolution)


def image_to_grid(image, resolution, invert) -> dict:
    """Fields of a picture; see `GridMeasure.from_image`."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(image, str | pathlib.Path):
        try:
            with Image.open(image) as opened:
                gray = np.asarray(opened.convert("L"), np.float64) / 255
        except FileNotFoundError:
            raise
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"image {str(image)!r} is not a picture that can be read") from error
    else:
        gray = nonnegative_weights(image, "image") if np.any(image) else np.asarray(image, np.float64)
        gray = gray.mean(axis=2) if gray.ndim == 3 else gray
    if gray.ndim != 2 or gray.size == 0:
        raise ValueError(f"image must have shape (height, width) or (height, width, channels); got {gray.shape}")
    if invert:
        gray = gray.max() - gray
    if not gray.any():
        raise ValueError("image holds no mass: it is all black (or all white, with invert=True)")
    if resolution is not None:
        scale = grid_resolution(resolution, 1)[0] / max(gray.shape)
        size = [max(1, round(scale * n)) for n in reversed(gray.shape)]
        gray = np.asarray(Image.fromarray(gray.astype(np.float32)).resize(size, Image.Resampling.BOX), np.float64)
    height, width = gray.shape
    return histogram_to_grid(gray[::-1].T, 0.0, np.array([width, height]) / max(width, height))


def merge_cells(cells, labels, weights):
    """Adds up the weights of equal (label, cell) pairs; returns them label by label, in lexicographic order."""
    order = lexicographic(cells, labels)
    cells, weights = cells[order], np.asarray(weights)[order]
    new = np.ones(len(cells), bool)
    new[1:] = np.any(cells[1:] != cells[:-1], axis=1)
    if labels is not None:
        labels = np.asarray(labels)[order]
        new[1:] |= labels[1:] != labels[:-1]
        labels = labels[new]
    return cells[new], labels, np.add.reduceat(weights, np.flatnonzero(new))


def lexicographic(cells, labels):
    """The permutation to label-major, then lexicographic order of the cells (stable)."""
    keys = list(np.ascontiguousarray(cells.T))
    keys = keys if labels is None else [np.asarray(labels), *keys]
    used = 4
    while True:
        # Cells of high dimension differ in their first coordinates already.
        order = np.lexsort(keys[:used][::-1])
        if used >= len(keys) or np.all(np.any([key[order][1:] != key[order][:-1] for key in keys[:used]], axis=0)):
            return order
        used *= 4
