"""Writes a file of every kind and of every part of format 2, `v2_*.jaxgen`, and `packed_*.jaxgen`, see below.

`python tests/coding/golden/make.py` leaves the files that are there as they are, since their bytes must not change; it
is run again for a new kind. Objects that are written in another way since, packed, have a file of each.
"""

import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxgen as jg
from jaxgen.measures import Lattice, LatticeMeasure

FOLDER = pathlib.Path(__file__).parent


class GoldenModule(eqx.Module):
    """The same as in `test_golden.py`."""

    radius: float
    names: list
    parts: dict


def objects() -> dict[str, object]:
    """What the files hold; built in quanta and of numbers that are the same on every machine."""
    cells, counts = np.array([[0, 1], [2, 2], [1, 0], [3, 1]]), np.array([3, 1, 2, 5])
    plain = jg.QuantizedMeasure(cells, counts, 0.0, 1.0, 4)
    boxed = jg.QuantizedMeasure(cells, counts, [-0.5, 0.1], [-0.5, 7.25], (4, 3))
    labelled = jg.QuantizedMeasure(cells, counts, -0.5, 3.5, 4, [0, 0, 1, 1], ("day", -7))
    rounded = jg.GridMeasure.from_histogram([3.0, 1.0, 0.25]).quantize(5)
    many = jg.QuantizedMeasure(np.arange(5 * 64).reshape(5, 64) % 27, np.array([1, 2, 1, 1, 1]), 0.0, 1.0, 27)
    cellwise = jg.QuantizedMeasure([[0, 0], [1, 1]], np.array([1, 1]), 0.0, 1.0, 2, [0, 1], (0, 3))
    sides = jg.LeafMeasure([[0.0, 1.0], [1.0, 2.5]], [[2.0, 1.0], [0.5, 0.75]], [1.0, 3.0]).quantize(4)
    where = np.array([[0, 0], [2, 0], [3, 0]]), np.array([[1, 0], [2, 0], [2, 0]])
    tree = jg.TreeMeasure(*where, [30_001, 77, 5], [0.0, -1.0], [4.0, 1.0])
    atoms = np.array([[0.1, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    network = eqx.tree_at(
        lambda net: (net.weights, net.biases),
        jg.MLPGenerator(dim=2, width=3, depth=2, key=jax.random.key(0), low=-1, high=[2, 5], vocabulary=("a", "b")),
        (
            (jnp.linspace(-1, 1, 9).reshape(3, 3), jnp.linspace(-2, 2, 6).reshape(2, 3)),
            (jnp.array([0.5, -0.25, 0.0]), jnp.array([1.0, 2.0])),
        ),
    )
    text = jg.modalities.Text("ab", 2)
    prompted = jg.PromptedGenerator.exact(text.points(["a", "ab", "b"]), ["x", "x", "y"], text, {"x": "an example"})
    return {
        "measure": plain,
        "measure_box": boxed,
        "measure_labels": labelled,
        "measure_rounded": rounded,
        "measure_wide": many,
        "sawtooth": jg.SawtoothGenerator(boxed, folds=3),
        "serpentine": jg.SawtoothGenerator(boxed, 3, "serpentine", axes=(1, 0)),
        "leaves": jg.LeafMeasure([[0.0, 1.0], [1.0, 2.5]], [0.25, 0.0], [1.0, 3.0], [0, 1], ("a", "b")).quantize(4),
        "lattice": LatticeMeasure([[2], [5]], [3, 1], Lattice((0.25,), 0.375, (8,), memory=2)),
        "lattice_all": LatticeMeasure([[0, 2, 0], [6, 1, 0]], [3, 1], Lattice((0.1, -2.0, 7.25), 0.3, (7, 3, 1))),
        "tree": tree,
        "tree_labels": jg.TreeMeasure([[0], [1], [0]], [[1], [1], [0]], [1, 2, 9], 0.0, 1.0, [0, 0, 1], ("a", "b")),
        "tree_generator": jg.TreeGenerator(tree, extra_levels=1),
        "curve": jg.CurveGenerator(plain, 0, "line", jg.HilbertCurve()),
        "peano": jg.PeanoGenerator(labelled, extra_levels=1),
        "line_longest": sides.generator(),
        "line_axes": sides.generator(axes=(1, 0)),
        "independent": jg.IndependentGenerator(plain),
        "codebook": jg.CodebookGenerator(atoms, counts[:3]),
        "mlp": network,
        "prompted": prompted,
        "gridded": jg.GriddedCondition(jg.SawtoothGenerator(cellwise), (2, 2), [0.0, -1.0], [2.5, 1.0]),
        "relu_network": jg.relu.ReLUNetwork([([[1.0, -0.5], [0.0, 2.0]], [0.0, -1.25]), ([[1.0, 0.1]], None)]),
        "module": GoldenModule(0.1, [(-300, "ä"), None], {"weights": jnp.linspace(0, 1, 5), "law": plain}),
    }


if __name__ == "__main__":
    for name, obj in objects().items():
        path = FOLDER / f"v2_{name}.jaxgen"
        if path.exists() and path.read_bytes() != jg.encode(obj := jg.load(path)):
            path = FOLDER / f"packed_{name}.jaxgen"
        if path.exists():
            print(f"kept     {path.name}")
        else:
            jg.save(path, obj)
            print(f"written  {path.name}, {path.stat().st_size} bytes")
