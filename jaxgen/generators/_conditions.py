"""Prompts: from what a user asks for to the codes of labels (theory, section 7)."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._checks import Numbers
from ..measures import Condition, Label, label_code, plain_label, unknown_label
from ..source import padded_size


def one_code(
    condition: Label | None, code: Numbers | None, vocabulary: tuple[Label, ...] | None
) -> Int[Array, ""] | None:
    """The code of one label: `condition` names it, `code` is its position in the vocabulary; `None` for neither.

    Raises `ValueError` for both at once, an unknown label, and a position out of range that is known outside of `jit`.
    """
    if condition is not None and code is not None:
        raise ValueError("give condition, a label, or code, its position in the vocabulary: not both")
    if condition is not None:
        return jnp.asarray(label_code(condition, vocabulary), jnp.int32)
    return None if code is None else jnp.asarray(_checked_codes(code, (), vocabulary))


class Share(NamedTuple):
    """What a condition asks of one label: its weight, and how many of the stratified samples are of it."""

    label: Label | None
    weight: float
    samples: int


def shares(condition: Condition, vocabulary: tuple[Label, ...] | None, n: int | None) -> list[Share]:
    """The labels that a condition asks for, with weights that sum to 1; of n stratified samples, if `n` is given.

    A list of labels, one a sample, asks for each with its frequency. `None` stands for the law of all labels together.
    """
    if condition is None:
        return [Share(None, 1.0, n or 0)]
    if isinstance(condition, Mapping):
        codes, weights = _weighted(condition, vocabulary)
        weights = weights / weights.sum()
        drawn = codes[:0] if n is None else codes[_chosen(weights, (np.arange(n) + 0.5) / n)]
    else:
        single = isinstance(condition, str | int | np.generic) or np.ndim(condition) == 0
        many = 1 if single else len(condition)  # pyright: ignore[reportArgumentType]
        drawn = _listed(condition, vocabulary, many if n is None else n)
        codes, counts = np.unique(drawn, return_counts=True)
        weights = counts / counts.sum()
    samples = np.zeros_like(codes) if n is None else np.sum(codes[:, None] == drawn, axis=1)
    return [
        Share(vocabulary[c] if vocabulary else None, float(w), int(k))
        for c, w, k in zip(codes, weights, samples, strict=True)
        if w > 0
    ]


def sample_codes(
    condition: Condition,
    code: Numbers | None,
    vocabulary: tuple[Label, ...] | None,
    n: int,
    key: PRNGKeyArray,
    stratified: bool,
) -> Int[Array | np.ndarray, " n"] | None:
    """The code of the label of each of `n` samples; `None` where the label is left to the law.

    Weights are rounded to whole samples when `stratified`, and drawn independently otherwise. Codes are on the host,
    unless they are traced.
    """
    if code is not None:
        if condition is not None:
            raise ValueError("give condition, labels, or code, their positions in the vocabulary: not both")
        codes = _checked_codes(code, (n,), vocabulary)
        return jnp.broadcast_to(codes, (n,)) if isinstance(codes, Tracer) else np.broadcast_to(codes, (n,))
    if condition is None:
        return None
    if isinstance(condition, Mapping):
        return _drawn(condition, vocabulary, n, key, stratified)
    return _listed(condition, vocabulary, n)


def _listed(condition, vocabulary, n: int) -> Int[np.ndarray, " n"]:
    if isinstance(condition, str | int | np.generic) or np.ndim(condition) == 0:
        return np.full(n, label_code(condition, vocabulary), np.int32)
    labels = list(condition)
    if len(labels) != n:
        raise ValueError(
            f"condition has {len(labels)} labels for n={n} samples; give one label a sample, or a single one"
        )
    if vocabulary is None:
        label_code(labels[0], vocabulary)
    table: dict[Label, int] = {label: code for code, label in enumerate(vocabulary or ())}
    plain = [plain_label(label) for label in labels]
    for label in plain:
        if label not in table:
            raise ValueError(unknown_label(label, vocabulary or ()))
    return np.array([table[label] for label in plain], np.int32)


def _drawn(weighted, vocabulary, n, key, stratified) -> Int[np.ndarray, " n"]:
    codes, weights = _weighted(weighted, vocabulary)
    # Sample i draws from fold_in(key, i) with i < 2**32 - 1; this draw keeps apart from all of them.
    apart = jr.fold_in(jr.fold_in(key, 2**32 - 1), 0)
    u = (np.arange(n) + 0.5) / n if stratified else np.asarray(jr.uniform(apart, (padded_size(n),)))[:n]
    return codes[_chosen(weights, u)].astype(np.int32)


def _chosen(weights: Float[np.ndarray, " labels"], u: np.ndarray) -> Int[np.ndarray, " n"]:
    """Which label each number of [0, 1] falls in."""
    edges = np.cumsum(weights) / weights.sum()
    return np.minimum(np.searchsorted(edges, u, side="right"), len(weights) - 1)


def _weighted(weighted, vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The codes of labels, and their weights."""
    if not weighted:
        raise ValueError("condition is an empty mapping; give at least one label with a positive weight")
    codes = np.array([label_code(label, vocabulary) for label in weighted])
    weights = np.array([float(w) for w in weighted.values()])
    if not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() <= 0:
        raise ValueError(f"condition's weights must be finite, nonnegative and not all zero; got {dict(weighted)}")
    return codes, weights


def _checked_codes(code, shape: tuple[int, ...], vocabulary) -> Int[Array | np.ndarray, "..."]:
    if vocabulary is None:
        raise ValueError("code was given, but there are no labels: build the measure with labels=")
    codes = code if isinstance(code, Tracer) else np.asarray(code)
    if not np.issubdtype(codes.dtype, np.integer) or codes.shape not in ((), shape):
        raise ValueError(f"code must be an integer or have shape {shape}; got {codes.dtype}, shape {codes.shape}")
    if isinstance(codes, np.ndarray) and codes.size and (codes.min() < 0 or codes.max() >= len(vocabulary)):
        raise ValueError(f"code must lie between 0 and {len(vocabulary) - 1}, positions in the vocabulary; got {code}")
    return codes.astype(np.int32)
