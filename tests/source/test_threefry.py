"""The cipher against JAX's, and the words of samples against what they must not depend on."""

import jax
import jax.extend.random as jxr
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jaxgen.source import sample_words, seed, threefry


def test_the_cipher_is_that_of_jax():
    rng = np.random.default_rng(0)
    keys, counters = rng.integers(2**32, size=(2, 2, 50), dtype=np.uint32)
    ours = jax.jit(threefry)(tuple(keys), tuple(counters))
    for i in range(50):
        theirs = jxr.threefry_2x32(jnp.asarray(keys[:, i]), jnp.asarray(counters[:, i]))
        assert [int(word[i]) for word in ours] == theirs.tolist()


@pytest.mark.parametrize(("sources", "words"), [(1, 1), (1, 2), (1, 3), (2, 3), (3, 2), (5, 3), (20, 1)])
def test_words_are_the_cipher_of_sample_and_pair(sources, words):
    """One by one, or as arrays: word w of source s is half w % 2 of pair `s * pairs + w // 2`."""
    key, pairs = seed(jr.key(3)), -(-words // 2)
    for i in (0, 2**32 - 2):
        found = np.asarray(jax.jit(sample_words, static_argnums=(2, 3))(key, jnp.uint32(i), sources, words))
        assert found.shape == (sources, words)
        for s in range(sources):
            for w in range(words):
                counter = jnp.asarray([i, s * pairs + w // 2], jnp.uint32)
                assert found[s, w] == jxr.threefry_2x32(jnp.stack(key), counter)[w % 2]


def test_a_key_is_the_same_typed_or_not_and_others_are_others():
    assert [int(word) for word in seed(jr.key(5))] == [int(word) for word in seed(jr.PRNGKey(5))]
    seeds = {
        tuple(int(word) for word in seed(jr.key(i, impl=impl))) for i in range(5) for impl in ("threefry2x32", "rbg")
    }
    assert len(seeds) == 10
    assert (0, 0) not in seeds
