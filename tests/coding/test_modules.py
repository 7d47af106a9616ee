"""Equinox modules of the user's own come back from a file, which names their class and holds no code."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgen.coding as coding
from jaxgen.coding import _registry
from jaxgen.coding._modules import read_module, write_module
from jaxgen.generators import AbstractGenerator
from jaxgen.relu import ReLUNetwork


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No class is registered by name, as in a new session."""
    monkeypatch.setattr(_registry, "_CLASSES", {})


class Part(eqx.Module):
    value: object


def _annulus():
    """Defines the class anew, as a cell of a notebook that is run again."""

    class Washer2d(AbstractGenerator):
        inner: float
        weights: jax.Array
        dim: int = eqx.field(static=True)
        source_dim: int = eqx.field(static=True)
        source_bits: int = eqx.field(static=True)
        vocabulary: tuple[str, ...] | None = eqx.field(static=True)

        def __init__(self):
            self.inner, self.weights = 0.5, jnp.arange(3.0)
            self.dim, self.source_dim, self.source_bits, self.vocabulary = 2, 1, 24, ("a", "b")

        def __call__(self, u, condition=None):
            radius, angle = jnp.sqrt(self.inner**2 + u * (1 - self.inner**2)), 2 * jnp.pi * u
            return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])

        def network(self): ...
        def certificate(self): ...
        def _push(self, words, code): ...

    return Washer2d


def test_a_generator_of_the_users_own(tmp_path, assert_same):
    law = _annulus()()
    coding.save(tmp_path / "annulus.jaxgen", law)
    back = coding.load(tmp_path / "annulus.jaxgen")
    assert_same(back, law)
    np.testing.assert_array_equal(back(0.3), law(0.3))
    with pytest.raises(ValueError, match="weight_bits is for networks; a Washer2d is encoded exactly"):
        coding.encode(law, weight_bits=8)


def test_a_class_that_is_defined_again_replaces_the_older():
    data = coding.encode(_annulus()())
    newer = _annulus()
    coding.register_class(newer)
    assert type(coding.decode(data)) is newer


def test_a_class_that_is_not_defined(seal):
    data = coding.encode(Part(3))
    with pytest.raises(coding.CodeError, match="'Pant', a class that is not defined here: define or import it before"):
        coding.decode(seal(data[:-2].replace(b"Part", b"Pant")))


def test_a_class_of_other_fields(seal):
    data = coding.encode(Part(3))
    with pytest.raises(coding.CodeError, match="the fields valve; the class of that name has value"):
        coding.decode(seal(data[:-2].replace(b"value", b"valve")))


def test_names_can_be_chosen():
    coding.register_class(Part, "Piece")
    data = coding.encode(Part(None))
    assert b"Piece" in data and isinstance(coding.decode(data), Part)
    with pytest.raises(TypeError, match="class of Equinox modules"):
        coding.register_class(int)


def test_two_classes_of_one_name():
    one, other = (
        type("Twin", (Part,), {"__annotations__": {}, "__qualname__": f"{place}.Twin"}) for place in ("here", "there")
    )
    for twin in (one, other):
        with pytest.raises(TypeError, match=r"two classes are called 'Twin', those of .*here.Twin and .*there.Twin"):
            coding.encode(twin(0))
    coding.register_class(one)
    data = coding.encode(one(0))
    assert type(coding.decode(data)) is one
    with pytest.raises(TypeError, match="two classes"):
        coding.encode(other(0))
    coding.register_class(other, "Other")
    assert type(coding.decode(coding.encode(other(0)))) is other
    _registry._CLASSES.clear()
    with pytest.raises(coding.CodeError, match=r"which may be that of .*here.Twin and .*there.Twin"):
        coding.decode(data)


def test_numbers_of_kinds_are_not_given_twice():
    with pytest.raises(ValueError, match="belongs to QuantizedMeasure"):
        coding.register(Part, 0, write_module, read_module)
    with pytest.raises(ValueError, match="between 0 and 126"):
        coding.register(Part, 127, write_module, read_module)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 127, 128, -128, -129, 10**40, -(10**40), "", 'ä\n"', "\ud800"),
        *(0.0, -0.0, 1.0, 0.1, -1e300, 5e-324, math.inf, -math.inf, 2.0**-6, 127.5, -3.25),
        *((), (1, (2.5, "x"), []), [None, [True]], {}, {"b": 1, "a": {2: (3,)}}, {True: None}),
    ],
)
def test_plain_values(value):
    back = coding.decode(coding.encode(Part(value))).value
    assert type(back) is type(value) and repr(back) == repr(value)


def test_nan_comes_back():
    assert math.isnan(coding.decode(coding.encode(Part(math.nan))).value)


@pytest.mark.parametrize(
    "array",
    [
        *(np.arange(6, dtype=dtype).reshape(2, 3) for dtype in ("i1", "u2", ">i4", "i8", "f2", "<f4", "f8", "c16")),
        *(np.zeros((0, 3)), np.array(1.5), np.array([True, False]), np.float32(0.1), np.int64(-7), np.bool_(True)),
        *(jnp.arange(4), jnp.zeros((2, 0)), jnp.ones(3, jnp.bfloat16), jnp.array(2 + 1j), jax.random.key_data),
    ],
    ids=lambda array: type(array).__name__,
)
def test_arrays(array):
    array = array(jax.random.key(1)) if callable(array) else array
    back = coding.decode(coding.encode(Part(array))).value
    assert isinstance(back, jax.Array) == isinstance(array, jax.Array)
    assert isinstance(back, np.generic) == isinstance(array, np.generic)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype.newbyteorder("=") and back.shape == array.shape


def test_long_integers_are_not_cut(x64):
    data = coding.encode(Part(jnp.asarray(1 << 40)))
    small = coding.encode(Part(jnp.asarray([1, 2])))
    assert coding.decode(data).value == 1 << 40
    with jax.enable_x64(False):
        np.testing.assert_array_equal(coding.decode(small).value, [1, 2])
        with pytest.raises(coding.CodeError, match="x64"):
            coding.decode(data)


def test_what_is_written_can_be_read(assert_same):
    value = part = 0
    for _ in range(60):
        value, part = [value], Part(part)
    assert coding.decode(coding.encode(Part(value))).value == value
    assert_same(coding.decode(coding.encode(part)), part)
    for _ in range(5):
        value, part = [value], Part(part)
    for deep in (Part(value), part):
        with pytest.raises(TypeError, match="64 deep"):
            coding.encode(deep)


@pytest.mark.slow
def test_modules_in_modules(measure, generators, assert_same):
    linear = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    net = ReLUNetwork([([[1.0], [2.0]], [0.0, 1.0]), ([[1.0, -1.0]], [0.0])])
    whole = Part((measure, {"g": generators["peano"]}, [linear, Part(net)]))
    assert_same(coding.decode(coding.encode(whole)), whole)
    # A kind of its own is as short inside as outside.
    assert coding.code_length(Part(measure)) < coding.code_length(measure) + 8 * 20


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (jax.nn.relu, r"Part.value is of type \w+, which no file holds"),
        ((1, [jnp.sin]), r"Part.value\[1\]\[0\] is of type"),
        ({"f": object()}, r"Part.value\['f'\] is of type object"),
        ({1.5: 1}, "the keys of Part.value must be strings or integers"),
        (jax.random.key(0), "Part.value is a key, which no file holds; keep jax.random.key_data"),
        (np.array(["a"]), "Part.value is an array of <U1"),
        (np.array([None]), "Part.value is an array of object"),
        (Part(print), "Part.value is of type builtin"),
    ],
)
def test_what_no_file_holds_is_named(value, message):
    with pytest.raises(TypeError, match=message):
        coding.encode(Part(value))


def test_a_field_without_a_value_and_one_that_holds_itself():
    with pytest.raises(TypeError, match=r"Part.value has no value"):
        coding.encode(object.__new__(Part))
    loop, part = [], object.__new__(Part)
    loop.append(loop)
    object.__setattr__(part, "value", loop)
    with pytest.raises(TypeError, match="64 deep"):
        coding.encode(part)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\x06\x01" * 100_000, "deep"),  # tuples of one in tuples of one
        (b"\x06\xff\xff\xff\x7f", "length of a list"),
        (b"\x0b\x0b\x02\x80\x80\x80\x80\x08" + b"\x80\x80\x80\x80\x08", "cut short"),  # 2**62 floats
        (b"\x0b\x0b\x03\x00" + b"\x80\x80\x80\x80\x80\x20" * 2, "valid Module"),  # none, in too large a shape
        (b"\x0b\x63\x00", "unknown type 99"),
        (b"\x63", "unknown type 99"),
        (b"\x08\x01\x00\x00", "keys"),
        (b"\x09\x01\x3f", "kind 63"),
        (b"\x05\x01\xff", "UTF-8"),
    ],
)
def test_claims_of_values_are_checked(seal, value, message):
    data = coding.encode(Part(None))
    assert data[-3:-2] == b"\0"
    with pytest.raises(coding.CodeError, match=message):
        coding.decode(seal(data[:-3] + value))
