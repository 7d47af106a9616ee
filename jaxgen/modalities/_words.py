"""From free text to label weights: a prompt names labels by the words it shares with their descriptions.

The terms of a text are its words and its pairs of neighbouring words; a term's weight is its inverse document frequency
over the descriptions, and the likeness of a description is its cosine to the prompt (TF-IDF). The label most like the
prompt is taken, its terms are struck out, and what is left is read again until no term of it is known. So "West
Virginia" is West Virginia alone, "North and South Dakota" two labels, and "Dakota" two as well.
"""

import collections
import difflib
import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

_COUNTED = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty"""
_NUMBERS = {str(value): name for value, name in enumerate(re.findall(r"\w+", _COUNTED))}
# Skipped unless written in capitals: "in" is a small word, and "IN" is Indiana.
_SMALL = frozenset(
    re.findall(
        r"\w+",
        """a about all also an and any are as at be but by do for from give hi i id in is it its me my no not of off ok
        on or out please so some that the their them this to us we with you your""",
    )
)


def match(prompt: str | object, descriptions: Mapping[Any, str]) -> dict[Any, float]:
    """The labels that `prompt` names, with weights that sum to 1: each mention counts the same.

    A mention that fits several labels equally well is shared among them. A label is named by its own words too.

    Raises `TypeError` for a prompt that is not a string, and `ValueError` for one that is empty or names no label.
    """
    if not isinstance(prompt, str):
        raise TypeError(f"prompt must be a string; got {type(prompt).__name__}")
    if not prompt.strip():
        raise ValueError(f"prompt is empty; try {_examples('', descriptions)}")
    # In capitals, a label is never a small word, not even "in" or "hi".
    known = {label: terms(str(label).upper()) | terms(text) for label, text in descriptions.items()}
    documents = collections.Counter(term for some in known.values() for term in some)
    # A term of every description does not say which, but it is known: its weight is small and not zero.
    weight = {term: math.log((1 + len(known)) / n) for term, n in documents.items()}
    size = {label: math.sqrt(sum(weight[t] ** 2 for t in some)) for label, some in known.items()}

    def likeness(label, spoken):
        return sum(weight[t] ** 2 for t in known[label] & spoken) / size[label]

    spoken = terms(prompt)
    left, mentions = spoken, collections.defaultdict(float)
    while candidates := [label for label, some in known.items() if some & left]:
        # Where what is left does not decide, the whole prompt does.
        score = {label: (round(likeness(label, left), 9), round(likeness(label, spoken), 9)) for label in candidates}
        best = max(score.values())
        chosen = [label for label in candidates if score[label] == best]
        shares = collections.Counter(known[label] & left for label in chosen)
        for label in chosen:
            mentions[label] += 1 / shares[known[label] & left]
        left = left.difference(*(known[label] for label in chosen))
    if not mentions:
        raise ValueError(f"nothing in the prompt {prompt!r} is known; try {_examples(prompt, descriptions)}")
    total = sum(mentions.values())
    return {label: count / total for label, count in mentions.items()}


def terms(text: str) -> frozenset[str]:
    """Words and pairs of neighbouring words: in lower case, numbers written out, a plural's s dropped."""
    found = []
    for word in re.findall(r"[^\W_]+#?\d*", text):
        if word.lower() in _SMALL and not word.isupper():
            continue
        name = _NUMBERS[word] if word in _NUMBERS else word.lower()
        found.append(re.sub(r"(?<=...)(?<!s)s$", "", name))
    return frozenset(found) | {f"{a} {b}" for a, b in itertools.pairwise(found)}


def _examples(prompt: str, descriptions: Mapping[Any, str]) -> str:
    """A few labels and descriptions, the nearest first."""
    near = sorted(descriptions.items(), key=lambda pair: -_nearness(prompt, f"{pair[0]} {pair[1]}"))[:5]
    more = len(descriptions) - len(near)
    names = [f"{text!r} (label {label})" if text else f"{label}" for label, text in near]
    return ", ".join(names) + (f", or {more} more" if more else "")


def _nearness(prompt: str, text: str) -> float:
    pairs = ((a, b) for a in prompt.lower().split() for b in text.lower().split())
    return max((difflib.SequenceMatcher(None, a, b).ratio() for a, b in pairs), default=0.0)
