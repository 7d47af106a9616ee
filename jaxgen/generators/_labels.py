"""Prompts: from what a user asks for to label codes (theory, section 7)."""

import difflib
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

Label = str | int
Condition = Label | Sequence[Label] | Mapping[Label, float] | None


def label_code(label: Label | None, vocabulary: tuple[Label, ...] | None) -> int | None:
    """The position of `label` in the vocabulary; `None` for no label.

    Raises `ValueError` for a label on an unconditional generator and for an unknown one, naming the nearest known.
    """
    if label is None:
        return None
    if vocabulary is None:
        raise ValueError(
            f"condition={label!r} was given, but the generator is not conditional: build its measure with labels="
        )
    if isinstance(label, np.generic):
        label = label.item()
    try:
        return vocabulary.index(label)
    except ValueError:
        raise ValueError(_unknown(label, vocabulary)) from None


def _unknown(label, vocabulary) -> str:
    names = [str(v) for v in vocabulary]
    near = difflib.get_close_matches(str(label), names, n=5, cutoff=0.0)
    return f"unknown label {label!r}; the nearest of {len(vocabulary)} known labels are {', '.join(near)}"


def label_codes(
    condition: Condition, vocabulary: tuple[Label, ...] | None, n: int, key: PRNGKeyArray, stratified: bool
) -> Int[Array, " n"] | None:
    """The label code of each of `n` samples; `None` where the label is left to the law.

    Weights are rounded to whole samples when `stratified`, and drawn independently otherwise.
    """
    if condition is None:
        return None
    if isinstance(condition, Mapping):
        if not condition:
            raise ValueError("condition is an empty mapping; give at least one label with a positive weight")
        codes = np.array([label_code(c, vocabulary) for c in condition])
        weights = np.array([float(w) for w in condition.values()])
        if not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() <= 0:
            raise ValueError(f"condition's weights must be finite, nonnegative and not all zero; got {dict(condition)}")
        edges = np.cumsum(weights) / weights.sum()
        # Sample i draws from fold_in(key, i) with i < 2**32 - 1; this draw keeps apart from all of them.
        u = (
            (np.arange(n) + 0.5) / n
            if stratified
            else np.asarray(jr.uniform(jr.fold_in(jr.fold_in(key, 2**32 - 1), 0), (n,)))
        )
        return jnp.asarray(codes[np.minimum(np.searchsorted(edges, u, side="right"), len(codes) - 1)], jnp.int32)
    if isinstance(condition, str | int | np.integer):
        code = label_code(condition, vocabulary)
        return jnp.full((n,), 0 if code is None else code, jnp.int32)
    labels = list(condition)
    if len(labels) != n:
        raise ValueError(
            f"condition has {len(labels)} labels for n={n} samples; give one label a sample, or a single one"
        )
    if vocabulary is None:
        label_code(labels[0], vocabulary)
    table = {label: code for code, label in enumerate(vocabulary or ())}
    plain = [c.item() if isinstance(c, np.generic) else c for c in labels]
    for c in plain:
        if c not in table:
            raise ValueError(_unknown(c, vocabulary))
    return jnp.asarray([table[c] for c in plain], jnp.int32)
