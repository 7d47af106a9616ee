"""A generator that takes prompts keeps its words and its modality in its file."""

import zlib

import jax.random as jr
import numpy as np
import pytest

import jaxgen as jg


@pytest.mark.parametrize("name", ["images", "text", "map"])
def test_file_keeps_generator_modality_and_words(name, tmp_path):
    prompted = jg.modalities.example(name)
    path = tmp_path / "prompted.jaxgen"
    jg.save(path, prompted)
    back = jg.load(path)
    assert type(back) is type(prompted)
    assert back.modality == prompted.modality
    assert back.descriptions == prompted.descriptions
    key = jr.key(3)
    np.testing.assert_array_equal(back.generator.sample(key, 20), prompted.generator.sample(key, 20))
    assert jg.encode(back) == jg.encode(prompted)


def test_damaged_metadata_is_refused():
    prompted = jg.modalities.example("text")
    damaged = jg.encode(prompted).replace(b'"Text"', b'"Tixt"')
    with pytest.raises(jg.CodeError, match="checksum"):
        jg.decode(damaged)


def test_a_valid_file_with_unknown_modality_is_refused():
    body = jg.encode(jg.modalities.example("text"))[:-4].replace(b'"Text"', b'"Tixt"')
    with pytest.raises(jg.CodeError, match="Tixt"):
        jg.decode(body + zlib.crc32(body).to_bytes(4, "little"))
