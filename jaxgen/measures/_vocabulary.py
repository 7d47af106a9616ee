"""Labels: their names, their places in the vocabulary, and what is said of one that is unknown."""

import difflib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Int

Label = str | int
# What may be asked for: a label, one a sample, or labels with weights.
Condition: TypeAlias = Label | Sequence[Label] | np.ndarray | Mapping[Label, float | int] | None


def plain_label(label: object) -> Label:
    """A label as a Python string or integer. Raises `TypeError` for anything else.

    **Example:**

        >>> import numpy as np
        >>> from jaxgen.measures import plain_label
        >>> plain_label(np.int32(3)), plain_label("seven")
        (3, 'seven')
    """
    value = label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"a label must be a string or an integer; got {label!r} of type {type(label).__name__}")
    return value


def label_code(label: object, vocabulary: tuple[Label, ...] | None) -> int:
    """The position of a label in the vocabulary.

    Raises `ValueError` where there are no labels and for an unknown one, naming the nearest known.

    **Example:**

        >>> from jaxgen.measures import label_code
        >>> label_code("b", ("a", "b"))
        1
    """
    if vocabulary is None:
        raise ValueError(f"condition={label!r} was given, but there are no labels: build the measure with labels=")
    plain = plain_label(label)
    try:
        return vocabulary.index(plain)
    except ValueError:
        raise ValueError(unknown_label(plain, vocabulary)) from None


def unknown_label(label: Label, vocabulary: tuple[Label, ...]) -> str:
    """The message about a label that is not in the vocabulary.

    **Example:**

        >>> from jaxgen.measures import unknown_label
        >>> unknown_label("c", ("a", "b"))
        "unknown label 'c'; the nearest of 2 known labels are b, a"
    """
    near = difflib.get_close_matches(str(label), [str(v) for v in vocabulary], n=5, cutoff=0.0)
    return f"unknown label {label!r}; the nearest of {len(vocabulary)} known labels are {', '.join(near)}"


def as_vocabulary(labels: Sequence[object] | None) -> tuple[Label, ...] | None:
    """Distinct labels in their order. Raises `ValueError` for none at all, a string, and repetitions.

    **Example:**

        >>> from jaxgen.measures import as_vocabulary
        >>> as_vocabulary(["a", "b"])
        ('a', 'b')
    """
    if labels is None:
        return None
    if isinstance(labels, str) or not isinstance(labels, Sequence | np.ndarray) or not len(labels):
        raise ValueError(f"vocabulary must be a sequence of at least one label, or None; got {labels!r}")
    names = tuple(plain_label(label) for label in labels)
    if len(set(names)) < len(names):
        raise ValueError("vocabulary must not repeat a label")
    return names


def encode_labels(
    labels: Sequence[object] | np.ndarray | None, count: int
) -> tuple[Int[np.ndarray, " n"] | None, tuple[Label, ...] | None]:
    """Labels, one a point, as codes into the sorted vocabulary, and the vocabulary."""
    if labels is None:
        return None, None
    array = np.asarray(labels)
    if array.shape != (count,):
        raise ValueError(f"labels must hold one label a point, shape ({count},); got {array.shape}")
    if array.dtype == object and all(isinstance(x, str) for x in array):
        array = array.astype(str)
    if array.dtype.kind not in "USiu":
        raise TypeError(f"labels must be strings or integers; got dtype {array.dtype}")
    vocabulary, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.int32), tuple(plain_label(v) for v in vocabulary.tolist())


def joined(vocabularies: Sequence[tuple[Label, ...]]) -> tuple[tuple[Label, ...], list[Int[np.ndarray, " labels"]]]:
    """The sorted union of vocabularies, and the code in it of each label of each.

    **Raises:** `TypeError` where some labels are strings and some integers.
    """
    every = {label for names in vocabularies for label in names}
    if len({isinstance(label, str) for label in every}) > 1:
        raise TypeError("labels must be all strings or all integers; some parts have strings, some integers")
    union = tuple(sorted(every))  # pyright: ignore[reportArgumentType]
    code = {label: i for i, label in enumerate(union)}
    return union, [np.array([code[label] for label in names], np.int64) for names in vocabularies]
