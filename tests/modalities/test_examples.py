"""The data sets, and the generators built on them."""

import builtins
import json
import wave

import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from jaxgen import AbstractGenerator, MLPGenerator, PeanoGenerator
from jaxgen.modalities import (
    DATA_SETS,
    Images,
    PromptedGenerator,
    Text,
    example,
    lines,
    plucked_strings,
    show_prompts,
)

PROMPTS = {
    "images": "handwritten seven",
    "audio": "a plucked A4",
    "video": "a seven moving left",
    "text": "a line about errors",
    "map": "a map of Alaska and Hawaii",
}
each = pytest.mark.parametrize("name", list(DATA_SETS))


@each
def test_data_fit_their_modality_and_are_the_same_every_time(name, data_sets):
    data = data_sets[name]
    assert data.points.shape == (len(data.labels), data.modality.dim)
    assert set(data.labels) == set(data.descriptions)
    again = DATA_SETS[name]()
    assert np.array_equal(again.points, data.points)
    assert again[1:] == data[1:]
    things = data.modality.restore(data.points)
    assert np.array_equal(data.modality.points(things), data.points)


@pytest.mark.slow
@each
def test_samples_are_data_with_the_labels_asked_for(name, examples, data_sets):
    g, data = examples[name], data_sets[name]
    weights = g.prompt(PROMPTS[name])
    known = {p.tobytes() for p, label in zip(data.points, data.labels, strict=True) if label in weights}
    things = g.sample(jr.key(0), 40, PROMPTS[name])
    points = data.modality.points(things)
    if name == "map":
        distances = np.linalg.norm(points[:, None] - data.points[[x in weights for x in data.labels]], axis=2)
        assert distances.min(axis=1).max() < np.hypot(360, 90) / 3**9
    else:
        assert {p.tobytes() for p in points} <= known
        # 40 draws of at most 9 equally likely things (or 179 sevens) are not one and the same.
        assert len({p.tobytes() for p in points}) > 1


@pytest.mark.sweep(1)
@each
def test_the_source_is_one_number_that_counts_the_data(name, examples, data_sets):
    g = examples[name].generator
    assert g.source_dim == 1
    assert g.measure.quanta == len(data_sets[name].labels)
    assert g.source_bits <= np.ceil(np.log2(g.measure.quanta))
    assert 0 < g.certificate().w2 <= np.sqrt(g.dim / 6)


def test_frequencies_are_those_of_the_data(examples, data_sets):
    """Stratified samples of one label: each datum as often as it is there, to within one."""
    g, data = examples["text"], data_sets["text"]
    n = 600
    x = g.generator.sample(jr.key(1), n, "simplicity", stratified=True)
    texts = g.modality.restore(np.asarray(x))
    expected = [
        t for t, label in zip(g.modality.restore(data.points), data.labels, strict=True) if label == "simplicity"
    ]
    assert set(texts) == set(expected)
    assert all(abs(texts.count(t) - n / len(expected)) <= 1 for t in expected)


@pytest.mark.slow
def test_conditions_need_not_be_words(examples):
    g = examples["text"]
    assert set(g.sample(jr.key(0), 30, {"errors": 1.0})) == {
        "Errors should never pass silently.",
        "Unless explicitly silenced.",
    }
    assert g.sample(jr.key(0), 2, ["beauty", "beauty"]) == ["Beautiful is better than ugly."] * 2
    assert len(set(g.sample(jr.key(0), 100))) > 7


def test_the_zen_is_whole(capsys):
    data = lines()
    texts = data.modality.restore(data.points)
    assert len(texts) == 19
    assert texts[0] == "Beautiful is better than ugly."
    assert dict(zip(texts, data.labels, strict=True))["Now is better than never."] == "time"
    assert isinstance(data.modality, Text)
    assert capsys.readouterr().out == ""


def test_strings_are_in_tune(data_sets):
    """The strongest partial of each pluck is a multiple of its note: to 1 %, a sixth of a semitone."""
    data = data_sets["audio"]
    sounds = data.modality.restore(data.points)
    notes = {label: 440 * 2 ** ((i - 21) / 12) for i, label in enumerate(dict.fromkeys(data.labels))}
    for sound, label in zip(sounds, data.labels, strict=True):
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(4000), 1 << 16))
        f = notes[label]
        near = slice(int(0.97 * f / 8000 * (1 << 16)), int(1.03 * f / 8000 * (1 << 16)))
        peak = (near.start + np.argmax(spectrum[near])) * 8000 / (1 << 16)
        assert abs(peak / f - 1) < 0.01
    assert "440 hertz" in data.descriptions["A4"]
    assert not np.array_equal(plucked_strings(plucks=1, seed=1).points[0], data.points[0])


@each
def test_parts_make_the_whole_again(name, examples):
    g = examples[name]
    again = PromptedGenerator.from_parts(g.generator, json.loads(json.dumps(g.metadata)))
    assert again.modality == g.modality
    assert again.descriptions == g.descriptions
    assert jax.tree.structure(again) == jax.tree.structure(g)


@pytest.mark.slow
def test_labels_may_be_integers_without_descriptions():
    modality = Text.of(["no", "yes", "maybe"])
    g = PromptedGenerator.exact(modality.points(["no", "yes", "maybe"]), [0, 1, 1], modality, {1: "consent"})
    again = PromptedGenerator.from_parts(g.generator, json.loads(json.dumps(g.metadata)))
    assert again.descriptions == {0: "", 1: "consent"}
    assert again.prompt("zero") == {0: 1}
    assert again.sample(jr.key(0), 2, "0") == ["no", "no"]
    assert set(again.sample(jr.key(0), 20, "consent")) == {"yes", "maybe"}


@pytest.mark.slow
def test_a_trained_generator_is_asked_in_the_same_way(examples):
    g = examples["text"]
    mlp = MLPGenerator(
        dim=g.modality.dim, width=8, depth=2, vocabulary=g.generator.vocabulary, low=0.0, high=30.0, key=jr.key(0)
    )
    trained = PromptedGenerator(mlp, g.modality, g.descriptions)
    assert all(isinstance(t, str) for t in trained.sample(jr.key(0), 3, "on errors"))
    figure = show_prompts({"explicit": g, "trained": trained}, ["errors", "time"], jr.key(0), bits={"explicit": 999.6})
    assert isinstance(figure, matplotlib.figure.Figure)
    assert "1,000 bits" in " ".join(t.get_text() for axes in figure.axes for t in axes.texts)
    with pytest.raises(ValueError, match="at least one"):
        show_prompts({}, ["errors"], jr.key(0))


@pytest.mark.slow
def test_it_is_a_generator_of_points_asked_for_things(examples):
    g = examples["text"]
    inner = g.generator
    assert isinstance(g, AbstractGenerator)
    assert (g.dim, g.source_dim, g.source_bits, g.vocabulary) == (
        inner.dim, inner.source_dim, inner.source_bits, inner.vocabulary,
    )  # fmt: skip
    key, u = jr.key(4), np.float32(0.3)
    points = g.points(key, 20, "on errors")
    np.testing.assert_array_equal(points, inner.sample(key, 20, g.prompt("on errors")))
    assert g.sample(key, 20, "on errors") == g.modality.restore(points)
    # A label in text is read as text; any other condition goes to the generator as it is.
    np.testing.assert_array_equal(g.points(key, 3, {"time": 1.0}), inner.sample(key, 3, "time"))
    assert g.sample(key, 3) == g.modality.restore(np.asarray(inner.sample(key, 3)))
    things, labels = g.sample(key, 9, stratified=True, return_labels=True)
    assert things == g.sample(key, 9, stratified=True)
    assert all(g.sample(key, 1, {label: 1.0}) for label in labels) and len(labels) == 9
    parts = list(g.stream(key, 20, "on errors", chunk_size=8))
    assert [len(part) for part in parts] == [8, 8, 4]
    assert [thing for part in parts for thing in part] == g.sample(key, 20, "on errors")
    for options in ({}, {"condition": "time"}, {"code": 2}):
        np.testing.assert_array_equal(g(u, **options), inner(u, **options))
    words = jnp.asarray([[123456789, 5]], jnp.uint32)
    np.testing.assert_array_equal(g.push(words, None)[0], inner.push(words, None)[0])
    assert g.certificate() == inner.certificate()
    assert g.certificate(condition="time") == inner.certificate(condition="time")
    ours, theirs = g.network(ramp=2.0**-10), inner.network(ramp=2.0**-10)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
    assert g.size().connectivity == inner.network().connectivity


def test_refusals(examples):
    g = examples["text"]
    plain = PeanoGenerator(g.generator.measure.given("simplicity"), extra_levels=0)
    with pytest.raises(ValueError, match="no labels"):
        PromptedGenerator(plain, g.modality)
    with pytest.raises(ValueError, match="dimension"):
        PromptedGenerator(g.generator, Images((2, 2)))
    with pytest.raises(ValueError, match="does not know: \\['joy'\\]"):
        PromptedGenerator(g.generator, g.modality, {"joy": "a line about joy"})
    with pytest.raises(TypeError, match="modality must be one of"):
        PromptedGenerator(g.generator, "text")  # type: ignore[arg-type]  # wrong on purpose
    for wrong in ({}, {"modality": {}, "descriptions": []}, {**g.metadata, "descriptions": 7}):
        with pytest.raises(ValueError, match="metadata is not that of"):
            PromptedGenerator.from_parts(g.generator, wrong)
    with pytest.raises(ValueError, match="nothing in the prompt"):
        g.sample(jr.key(0), 1, "quantum chromodynamics")
    with pytest.raises(ValueError, match="modality must be one of images, audio"):
        example("smell")


def test_digits_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"jaxgen\[modalities\]"):
        example("images")


@pytest.mark.sweep(2)
@each
def test_every_example_writes_its_file(name, examples, tmp_path):
    g = examples[name]
    path = tmp_path / f"a{g.modality.suffixes[0]}"
    g.write(path, jr.key(0), 2, PROMPTS[name])
    if name == "audio":
        with wave.open(str(path)) as file:
            assert (file.getnframes(), file.getframerate(), file.getsampwidth()) == (8000, 8000, 1)
    if name == "video":
        with Image.open(path) as file:
            assert file.format == "GIF"
            # The eight steps of the digit; frames between which it rests are held longer.
            assert file.n_frames == 9
    assert path.stat().st_size > 0
