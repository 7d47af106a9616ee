"""A generator that takes prompts keeps its words and its modality in its file."""

import jax
import pytest

import jaxgen as jg


@pytest.mark.parametrize("name", ["images", "text", "map"])
def test_file_keeps_generator_modality_and_words(name, tmp_path, assert_same):
    prompted = jg.modalities.example(name)
    path = tmp_path / "prompted.jaxgen"
    jg.save(path, prompted)
    back = jg.load(path)
    assert_same(back, prompted)
    assert back.modality == prompted.modality
    assert back.descriptions == prompted.descriptions


def test_options_are_those_of_the_generator():
    trained = jg.MLPGenerator(dim=1, width=4, depth=2, key=jax.random.key(1), vocabulary=("a", "b"))
    text = jg.modalities.Text("ab", 1)
    prompted = jg.PromptedGenerator(trained, text, {"a": "first"})
    assert jg.code_length(prompted, weight_bits=3) < jg.code_length(prompted)
    explicit = jg.modalities.example("text")
    with pytest.raises(ValueError, match="a CurveGenerator is encoded exactly"):
        jg.encode(explicit, weight_bits=3)


def test_damaged_metadata_is_refused(seal):
    data = jg.encode(jg.modalities.example("text"))
    damaged = data.replace(b'"Text"', b'"Tixt"')
    with pytest.raises(jg.CodeError, match="checksum"):
        jg.decode(damaged)
    with pytest.raises(jg.CodeError, match="Tixt"):
        jg.decode(seal(damaged[: -2 if len(damaged) < 256 else -4]))
