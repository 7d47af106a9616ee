"""Labelled data sets made on the spot: nothing is downloaded."""

import ast
import codecs
import importlib.util
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..data import airports as data_airports
from ._audio import Audio
from ._modality import AbstractModality
from ._names import STATES, ZEN_TOPICS
from ._pictures import Images, Video
from ._prompted import PromptedGenerator
from ._table import Table
from ._text import Text

_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_NOTES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


class PromptData(NamedTuple):
    """Points `(N, modality.dim)`, a label a point, the modality, and a description a label.

    **Example:**

        >>> from jaxgen.modalities import PromptData, Text
        >>> modality = Text.of(["no", "yes"])
        >>> PromptData(modality.points(["no", "yes"]), ["bad", "good"], modality, {"good": "consent"}).labels
        ['bad', 'good']
    """

    points: Float[np.ndarray, "n d"]
    labels: list[str]
    modality: AbstractModality
    descriptions: dict[str, str]


def _load_digits():
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("the digits come with scikit-learn: pip install 'jaxgen[modalities]'") from error
    bunch: Any = load_digits()
    return bunch.images.astype(np.int64), bunch.target


def digits() -> PromptData:
    """Handwritten digits: 1797 pictures of 8 x 8 pixels and 17 levels, labels "zero" to "nine" (scikit-learn).

    **Example:**

        >>> from jaxgen.modalities import digits
        >>> data = digits()
        >>> data.points.shape, data.labels[:3]
        ((1797, 64), ['zero', 'one', 'two'])
    """
    images, targets = _load_digits()
    modality = Images(shape=(8, 8), levels=17)
    descriptions = {name: f"handwritten digit {name}" for name in _DIGITS}
    return PromptData(modality.points(images), [_DIGITS[t] for t in targets], modality, descriptions)


def moving_digits(each: int = 3, seed: int = 0) -> PromptData:
    """Handwritten digits in motion: clips of 12 frames of 16 x 16 pixels, 10 a second.

    A digit crosses the frame to the left, right, up or down on a line of its own. Labels such as "seven left",
    `each` clips with different handwriting for each of the 40.

    **Example:**

        >>> from jaxgen.modalities import moving_digits
        >>> moving_digits(each=1).points.shape
        (40, 3072)
    """
    images, targets = _load_digits()
    rng = np.random.default_rng(seed)
    modality = Video(shape=(16, 16), frames=12, rate=10, levels=17)
    clips, labels, descriptions = [], [], {}
    for digit, direction in itertools.product(range(10), ("left", "right", "up", "down")):
        label = f"{_DIGITS[digit]} {direction}"
        descriptions[label] = f"a handwritten {_DIGITS[digit]} moving {direction}"
        for image in images[rng.choice(np.flatnonzero(targets == digit), each, replace=False)]:
            across = rng.integers(2, 7)
            clip = np.zeros((12, 16, 16), np.int64)
            for frame in range(12):
                along = round(frame * 8 / 11)
                along = 8 - along if direction in ("left", "up") else along
                y, x = (across, along) if direction in ("left", "right") else (along, across)
                clip[frame, y : y + 8, x : x + 8] = image
            clips.append(clip)
            labels.append(label)
    return PromptData(modality.points(np.stack(clips)), labels, modality, descriptions)


def plucked_strings(plucks: int = 4, seed: int = 0) -> PromptData:
    """Plucked strings: half a second at 8 kHz and 8 bits of the 25 notes C3 to C5, `plucks` different ones each.

    A burst of noise runs round a delay line that damps it (Karplus & Strong, Digital Synthesis of Plucked-String and
    Drum Timbres, 1983). The filter's taps (1 - f, 1, f)/2 delay by 1/2 + f samples, which tunes the string.

    **Example:**

        >>> from jaxgen.modalities import plucked_strings
        >>> plucked_strings(plucks=1).descriptions["A4"]
        'a plucked string, A4, 440 hertz'
    """
    import scipy.signal

    rng = np.random.default_rng(seed)
    modality = Audio(samples=4000, rate=8000, levels=256)
    sounds, labels, descriptions = [], [], {}
    for semitone in range(25):
        octave, name = divmod(semitone, 12)
        frequency = 440 * 2 ** ((semitone - 21) / 12)
        label = f"{_NOTES[name]}{3 + octave}"
        descriptions[label] = f"a plucked string, {label}, {frequency:.0f} hertz"
        period = modality.rate / frequency - 0.5
        delay, f = int(period), period % 1
        feedback = np.concatenate([[1], np.zeros(delay - 1), -0.998 / 2 * np.array([1 - f, 1, f])])
        for _ in range(plucks):
            burst = np.zeros(modality.samples)
            burst[:delay] = scipy.signal.detrend(rng.uniform(-1, 1, delay), type="constant")
            sound = np.asarray(scipy.signal.lfilter([1], feedback, burst))
            sounds.append(0.95 * sound / np.abs(sound).max())
            labels.append(label)
    return PromptData(modality.points(np.stack(sounds)), labels, modality, descriptions)


def lines() -> PromptData:
    """The 19 aphorisms of the Zen of Python, as `import this` prints them, by topic (Tim Peters, PEP 20).

    **Example:**

        >>> from jaxgen.modalities import lines
        >>> data = lines()
        >>> data.modality.restore(data.points[:1])
        ['Beautiful is better than ugly.']
    """
    spec = importlib.util.find_spec("this")
    source = spec.loader.get_source("this") if spec and spec.loader else None  # type: ignore[attr-defined]  # of every loader of source
    if source is None:
        raise ImportError("the source of the module `this` is not installed with this Python")
    text = next(ast.literal_eval(node.value) for node in ast.parse(source).body if isinstance(node, ast.Assign))
    texts = codecs.decode(text, "rot13").splitlines()[2:]
    labels = [topic for topic, _, count in ZEN_TOPICS for _ in range(count)]
    modality = Text.of(texts)
    return PromptData(modality.points(texts), labels, modality, {topic: about for topic, about, _ in ZEN_TOPICS})


def airports() -> PromptData:
    """3376 airports of the United States, in degrees (longitude, latitude), by the code of their state.

    **Example:**

        >>> from jaxgen.modalities import airports
        >>> data = airports()
        >>> data.points.shape, data.descriptions["AK"]
        ((3376, 2), 'Alaska')
    """
    data = data_airports("state")
    modality = Table(columns=data.columns, low=(-180.0, 0.0), high=(180.0, 90.0))
    labels = [str(label) for label in data.labels or ()]
    return PromptData(modality.points(data.points), labels, modality, {c: STATES[c] for c in sorted(set(labels))})


DATA_SETS: dict[str, Callable[[], PromptData]] = {
    "images": digits,
    "audio": plucked_strings,
    "video": moving_digits,
    "text": lines,
    "map": airports,
}


def example(modality: str) -> PromptedGenerator:
    """The explicit generator of a data set: of "images", "audio", "video", "text" or a "map".

    Raises `ValueError` for another name, and `ImportError` where the digits' package is missing.

    **Example:**

        >>> import jax
        >>> from jaxgen.modalities import example
        >>> example("text").sample(jax.random.key(0), 1, "beauty")
        ['Beautiful is better than ugly.']
    """
    if modality not in DATA_SETS:
        raise ValueError(f"modality must be one of {', '.join(DATA_SETS)}; got {modality!r}")
    return PromptedGenerator.exact(*DATA_SETS[modality]())
