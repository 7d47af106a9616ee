"""A generator that is asked in words, and answers with things that can be opened."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from .._checks import Numbers
from ..generators import AbstractGenerator, Certificate, CurveGenerator
from ..measures import GridMeasure, Label
from ..relu import ReLUNetwork
from ._audio import Audio
from ._modality import AbstractModality
from ._pictures import Images, Video
from ._table import Table
from ._text import Text
from ._words import match

_KINDS: dict[str, type[AbstractModality]] = {kind.__name__: kind for kind in (Images, Audio, Video, Text, Table)}


class PromptedGenerator(AbstractGenerator):
    """A conditional generator, the modality of its points, and a description of each label.

    Its law, given a prompt, is the quantised empirical law of the labels that the prompt names, if the generator was
    built by `exact`; see the docstring of `jaxgen.modalities` for what that is and is not.

    **Example:**

        >>> import jax
        >>> from jaxgen.modalities import PromptedGenerator, Text
        >>> modality = Text.of(["no", "yes", "maybe"])
        >>> points = modality.points(["no", "yes", "maybe"])
        >>> g = PromptedGenerator.exact(points, ["bad", "good", "good"], modality, {"good": "consent"})
        >>> g.prompt("consent, please"), g.sample(jax.random.key(0), 2, "bad")
        ({'good': 1.0}, ['no', 'no'])
    """

    generator: AbstractGenerator
    modality: AbstractModality = eqx.field(static=True)
    _descriptions: tuple[tuple[Any, str], ...] = eqx.field(static=True)

    def __init__(
        self,
        generator: AbstractGenerator,
        modality: AbstractModality | object,
        descriptions: Mapping[Any, str] | None = None,
    ):
        """**Arguments:**

        - `generator`: with labels, explicit or trained; its points are those of `modality`.
        - `descriptions`: words for some or all labels; a label is known by its own name in any case.

        **Raises:** `ValueError` for a generator without labels or of another dimension, and for a description of an
        unknown label; `TypeError` for a modality that is none.
        """
        if not isinstance(modality, AbstractModality):
            raise TypeError(f"modality must be one of {', '.join(_KINDS)}; got {type(modality).__name__}")
        if generator.vocabulary is None:
            raise ValueError("generator has no labels, so there is nothing to ask for: build its measure with labels=")
        if generator.dim != modality.dim:
            raise ValueError(f"generator makes points of dimension {generator.dim}, {modality} has {modality.dim}")
        descriptions = dict(descriptions or {})
        unknown = [label for label in descriptions if label not in generator.vocabulary]
        if unknown:
            raise ValueError(f"descriptions has labels that the generator does not know: {unknown[:5]}")
        self.generator, self.modality = generator, modality
        self._descriptions = tuple((label, str(descriptions.get(label, ""))) for label in generator.vocabulary)

    @classmethod
    def exact(
        cls, points: Numbers, labels: Any, modality: AbstractModality, descriptions: Mapping[Any, str] | None = None
    ) -> "PromptedGenerator":
        """The explicit generator of data: `CurveGenerator` on their exact counts, one quantum a point.

        `points`: `(N, dim)` as `modality.points` gives them, `labels`: one a point. Takes a data set whole:
        `PromptedGenerator.exact(*digits())`. Raises as `GridMeasure.from_samples` does, and for data that do not fit.

        **Example:**

            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> g.generator.measure.quanta  # one a point
            2
        """
        measure = GridMeasure.from_samples(points, labels=labels, **modality.box._asdict())
        return cls(CurveGenerator(measure, extra_levels=0, path="centre"), modality, descriptions)

    @classmethod
    def from_parts(cls, generator: AbstractGenerator, metadata: Mapping[str, Any]) -> "PromptedGenerator":
        """Put together again from its generator and `metadata`. Raises `ValueError` for metadata of another form.

        **Example:**

            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> PromptedGenerator.from_parts(g.generator, g.metadata).descriptions
            {'bad': '', 'good': 'consent'}
        """
        try:
            modality, pairs = modality_from_metadata(metadata["modality"]), metadata["descriptions"]
            descriptions = {label: text for label, text in pairs}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"metadata is not that of a PromptedGenerator: {error!r}") from error
        return cls(generator, modality, descriptions)

    @property
    def dim(self) -> int:
        """Dimension of the points."""
        return self.generator.dim

    @property
    def source_dim(self) -> int:
        """How many uniform numbers go in."""
        return self.generator.source_dim

    @property
    def source_bits(self) -> int:
        """Bits of each uniform number that the law needs."""
        return self.generator.source_bits

    @property
    def vocabulary(self) -> tuple[Label, ...] | None:
        """The labels that can be asked for."""
        return self.generator.vocabulary

    def __call__(self, u: Numbers, condition: Label | None = None, **options: Any) -> Float[Array, " dim"]:
        """The point, not the thing, that one source value is sent to; as the generator's call."""
        return self.generator(u, condition, **options)  # pyright: ignore[reportCallIssue]

    def push(
        self, words: UInt32[Array, "source_dim words"], code: Int[Array, ""] | None
    ) -> tuple[Float[Array, " dim"], Int[Array, ""]]:
        """That of the generator."""
        return self.generator.push(words, code)

    def kernel(self) -> Any:
        """That of the generator."""
        return self.generator.kernel()

    def network(self, **options: Any) -> ReLUNetwork:
        """That of the generator."""
        return self.generator.network(**options)

    def certificate(self, condition: Any = None, **options: Any) -> Certificate:
        """That of the generator: of the law of points, given a prompt; `condition` as for `sample`."""
        asked = {} if condition is None else {"condition": self._asked(condition)}
        return self.generator.certificate(**asked, **options)

    @property
    def descriptions(self) -> dict[Any, str]:
        """Every label with its description, which may be empty.

        **Example:**

            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> g.descriptions
            {'bad': '', 'good': 'consent'}
        """
        return dict(self._descriptions)

    @property
    def metadata(self) -> dict[str, Any]:
        """All but the generator, in JSON's types; see `from_parts`.

        **Example:**

            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> g.metadata["descriptions"]
            [['bad', ''], ['good', 'consent']]
        """
        return {"modality": self.modality.metadata(), "descriptions": [list(pair) for pair in self._descriptions]}

    def prompt(self, text: str | object) -> dict[Any, float]:
        """The labels that free text names, with weights that sum to 1: a condition for any generator.

        Each mention counts the same; one that fits several labels equally well is shared among them. Raises
        `ValueError`, naming a few labels that are known, for text that is empty or names none.

        **Example:**

            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> g.prompt("something bad, with consent")
            {'bad': 0.5, 'good': 0.5}
        """
        return match(text, self.descriptions)

    # The generator's own options go through by name.
    def sample(self, key: PRNGKeyArray, n: int, condition: Any = None, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`n` things, as the modality's `restore` gives them: each the work of its own uniform number.

        `condition`: free text, or whatever `condition` of the generator's own `sample` may be that is not a string;
        `options` are those of that `sample`. Raises as `prompt` and the generator's `sample` do.

        **Example:**

            >>> import jax
            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> g.sample(jax.random.key(0), 2, "consent, please")
            ['yes', 'yes']
        """
        return self._things(self.generator.sample(key, n, self._asked(condition), **_absolute(options)))

    def stream(self, key: PRNGKeyArray, n: int, condition: Any = None, **options: Any) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Yields the things of `sample`, in order, some at a time; `options` are those of the generator's `stream`.

        **Example:**

            >>> import jax
            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> list(g.stream(jax.random.key(0), 3, "bad", chunk_size=2))
            [['no', 'no'], ['no']]
        """
        return map(self._things, self.generator.stream(key, n, self._asked(condition), **_absolute(options)))

    def points(self, key: PRNGKeyArray, n: int, condition: Any = None, **options: Any) -> Float[np.ndarray, "n dim"]:
        """The points behind the things of `sample`.

        **Example:**

            >>> import jax
            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> g.points(jax.random.key(0), 1, "bad").tolist()
            [[2.0, 3.0, 0.0]]
        """
        return np.asarray(self.generator.sample(key, n, self._asked(condition), **options))

    def _asked(self, condition: Any) -> Any:
        return self.prompt(condition) if isinstance(condition, str) else condition

    def _things(self, drawn: Any) -> Any:
        """Things in place of points, with the labels where they come along."""
        if isinstance(drawn, tuple):
            return self.modality.restore(np.asarray(drawn[0])), drawn[1]
        return self.modality.restore(np.asarray(drawn))

    def write(self, path: str | os.PathLike[str], key: PRNGKeyArray, n: int, condition: Any = None) -> None:
        """Writes the `n` things of `sample` into one file; see the modality for its form and errors.

        **Example:**

            >>> import jax, pathlib, tempfile
            >>> from jaxgen.modalities import PromptedGenerator, Text
            >>> modality = Text.of(["no", "yes"])
            >>> points = modality.points(["no", "yes"])
            >>> g = PromptedGenerator.exact(points, ["bad", "good"], modality, {"good": "consent"})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "answers.txt")
            ...     g.write(path, jax.random.key(0), 2, "good")
            ...     path.read_text().split()
            ['yes', 'yes']
        """
        self.modality.write(path, self.points(key, n, condition))


def _absolute(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `sample`, without one that things are not made from."""
    if options.get("relative"):
        raise ValueError("relative=True gives no things, which are made from whole points; `points` takes it")
    return options


def modality_from_metadata(metadata: Mapping[str, Any]) -> AbstractModality:
    """The modality whose `metadata()` this is. Raises `ValueError` for an unknown kind and missing or wrong fields.

    **Example:**

        >>> from jaxgen.modalities import Text, modality_from_metadata
        >>> modality_from_metadata(Text("ab", 3).metadata())
        Text(alphabet='ab', length=3)
    """
    fields = dict(metadata)
    kind = _KINDS.get(fields.pop("kind", None))
    if kind is None:
        raise ValueError(f"metadata's kind must be one of {', '.join(_KINDS)}; got {metadata.get('kind')!r}")
    expected = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # every modality is a dataclass
    if set(fields) != expected:
        raise ValueError(f"metadata of {kind.__name__} must have {sorted(expected)}; got {sorted(fields)}")
    # JSON has lists only.
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
