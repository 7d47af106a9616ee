"""The first call of a generator, in a process of its own: trace, compile, run; and of one of the same padded size."""

import json
import subprocess
import sys

_PROGRAM = """
import json, sys, time, jax, numpy as np, jaxgen as jg
kind, d, side = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng, key = np.random.default_rng(0), jax.random.key(0)
jax.block_until_ready(jax.jit(lambda k: jax.random.uniform(k, (7,)))(key))
make = {"Peano": jg.PeanoGenerator, "sawtooth": jg.SawtoothGenerator, "independent": jg.IndependentGenerator}[kind]
def measure(less):
    if d > 8:
        return jg.GridMeasure.from_samples(rng.random((200 - less, d)), 3).quantize(1 << 16)
    masses = rng.random((side,) * d)
    masses.flat[:less] = 0
    return jg.GridMeasure.from_histogram(masses).quantize(1 << 20)
out = []
for g in [make(measure(0)), make(measure(1))]:
    began = time.perf_counter(); jax.block_until_ready(g.sample(key, 1000)); out.append(time.perf_counter() - began)
print(json.dumps(out))
"""


def table(small: bool):
    """Records of `name`, `first_s` and `next_s`, seconds, without a cache of compiled programs."""
    cases = [("Peano", 2, 20), ("sawtooth", 3, 12), ("independent", 4, 7), ("Peano", 4, 7), ("sawtooth", 4, 7)]
    for kind, d, side in cases[:1] if small else [*cases, ("Peano", 784, 0)]:
        command = [sys.executable, "-c", _PROGRAM, kind, str(d), str(side)]
        seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        first, following = json.loads(seen)
        yield {"name": f"{kind}, d = {d}", "first_s": first, "next_s": following}
