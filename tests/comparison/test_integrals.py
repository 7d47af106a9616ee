"""Integrals: exact values, the rates of the theory, and Sobol points where they win."""

import dataclasses
import math
from fractions import Fraction

import equinox as eqx
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest
from scipy.stats.qmc import Sobol

from jaxgen.comparison import PRESETS, Halves, Report
from jaxgen.comparison._integrals import (
    INTEGRANDS,
    Ridges,
    exact_integrals,
    integrals,
    random_ridges,
    rosenblatt_inverse,
    scrambled_order,
    theoretical_slope,
)
from jaxgen.comparison._notes import notes
from jaxgen.comparison._records import IntegralError, Integrals
from jaxgen.data import Dataset
from jaxgen.generators import IndependentGenerator
from jaxgen.measures import QuantizedMeasure

SETTINGS = dataclasses.replace(PRESETS["default"], resolution=9)
ONE_NUMBER = ("i.i.d.", "stratified", "extensible")


def dataset(points, labels=None):
    return Dataset("points", points, tuple(f"x{k}" for k in range(points.shape[1])), labels)


def even(dim, n):
    """A law without gaps: points on a lattice that is finer than the grid."""
    axis = (np.arange(n) + 0.5) / n
    return np.stack(np.meshgrid(*[axis] * dim), axis=-1).reshape(-1, dim)


@pytest.fixture(scope="module")
def square():
    return integrals(dataset(even(2, 90)), SETTINGS)


def by_name(found):
    return {(error.points, error.integrand): error for error in found.errors}


def a_law(dim, n, size, seed=0):
    rng = np.random.default_rng(seed)
    cells = np.unique(rng.integers(n, size=(size, dim)), axis=0)
    return QuantizedMeasure(cells, rng.integers(1, 9, len(cells)), 0.0, float(n), n)


def irwin_hall(k, c):
    """E(S + c)_+ and P(S + c > 0), S a sum of k uniform numbers on [-1/2, 1/2]: alternating sums, in fractions."""

    def alternating(power):
        terms = ((-1) ** j * math.comb(k, j) * max(c + Fraction(k, 2) - j, Fraction(0)) ** power for j in range(k + 1))
        return sum(terms) / math.factorial(power)

    return float(alternating(k + 1)), float(alternating(k))


@pytest.mark.parametrize("dim", [1, 2, 5, 16])
def test_inside_a_cell_integrals_are_those_of_irwin_and_hall(dim):
    law = QuantizedMeasure(np.zeros((1, dim), int), [3], 0.0, 1.0, 1)
    offsets = [Fraction(j, 16) for j in (-9 * dim, -7 * dim, -5, 0, 1, 3 * dim, 9 * dim)]
    signs = np.random.default_rng(0).choice([-1, 1], (len(offsets), dim))
    # The sum at the centre of the cell, less the shift, is the offset.
    shift = signs.sum(axis=1) / 2 - np.array(offsets, float)
    exact = exact_integrals(law, Ridges(signs, shift, np.full(len(offsets), 2.0)))
    for i, offset in enumerate(offsets):
        positive, above = irwin_hall(dim, offset)
        assert exact["indicator"][i] == pytest.approx(above, abs=1e-12)
        assert exact["rough"][i] == pytest.approx((2 * positive - float(offset)) / 2, abs=1e-12)
        wave = math.cos(float(offset) / 2) * (4 * math.sin(1 / 4)) ** dim
        assert exact["smooth"][i] == pytest.approx(wave, abs=1e-12)


def test_exact_integrals_are_those_of_the_law():
    law = a_law(2, 5, 12)
    ridges = random_ridges(law, 20, np.random.default_rng(1))
    exact = exact_integrals(law, ridges)
    axis = (np.arange(200) + 0.5) / 200
    inside = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    masses = np.asarray(law.counts) / np.sum(law.counts)
    centred, square = np.zeros(20), np.zeros(20)
    found = {name: np.zeros(20) for name in INTEGRANDS}
    for cell, mass in zip(np.asarray(law.cells), masses, strict=True):
        z = ((cell + inside) @ ridges.direction.T - ridges.shift) / ridges.scale
        centred, square = centred + mass * z.mean(axis=0), square + mass * (z**2).mean(axis=0)
        for name, f in INTEGRANDS.items():
            found[name] += mass * f(z).mean(axis=0)
    # Midpoints: of second order, and for a jump of the order of a row of them.
    for name, error in (("smooth", 1e-5), ("rough", 1e-4), ("indicator", 3e-3)):
        np.testing.assert_allclose(exact[name], found[name], atol=error)
    np.testing.assert_allclose(square - centred**2, 1, rtol=1e-5)
    assert np.all(np.abs(centred) <= 1) and np.abs(centred).max() > 0.5


def test_the_host_maps_as_the_generator_does():
    generator = IndependentGenerator(a_law(3, 7, 60))
    u = Sobol(3, rng=0).random(256)
    expected = eqx.filter_jit(eqx.filter_vmap(generator))(jnp.asarray(u, jnp.float32))
    # 30 bits of u in float32 are 24, in a cell that has a thousandth of the mass.
    np.testing.assert_allclose(rosenblatt_inverse(generator, u), expected, atol=1e-4)


def test_scrambled_points_are_stratified_block_by_block():
    levels = 6
    order = scrambled_order(np.random.default_rng(0), levels)
    for k in range(levels + 1):
        blocks = np.sort((order // 3 ** (levels - k)).reshape(-1, 3**k), axis=1)
        np.testing.assert_array_equal(blocks, np.tile(np.arange(3**k), (3 ** (levels - k), 1)))


def test_the_scrambling_is_nested():
    """In 27 strata places are independent and uniform, so the mean of u has variance 27^-3 / 12.

    If one permutation served all digits before it, all strata would be off by the same amount: variance 27^-2 / 12.
    """
    rng = np.random.default_rng(0)
    means = [(scrambled_order(rng, 6)[:27] + rng.uniform(size=27)).mean() / 3**6 for _ in range(600)]
    assert np.var(means) * 12 * 27**3 == pytest.approx(1, rel=0.2)
    assert np.mean(means) == pytest.approx(0.5, abs=4 * 27**-1.5 / math.sqrt(12 * 600))


def rates_hold(found):
    for error in found.errors:
        if error.points in ONE_NUMBER:
            assert error.slope == pytest.approx(error.theory, abs=0.1), error


@pytest.mark.slow
def test_without_gaps_the_slopes_are_those_of_the_theory(square):
    assert square.absent == "" and len(square.errors) == 12 and square.dim == 2
    rates_hold(square)
    named = by_name(square)
    for name in INTEGRANDS:
        rmse = [named[points, name].rmse[-1] for points in (*ONE_NUMBER, "Sobol")]
        assert rmse[0] > 5 * max(rmse[1:])
        # Of k normal errors, 1 / sqrt(2 k).
        assert named["i.i.d.", name].uncertainty == pytest.approx(1 / math.sqrt(2 * square.keys), rel=0.4)
    # Of independent points that are above a border with probability p: sqrt(p (1 - p) / N).
    assert named["i.i.d.", "indicator"].rmse[-1] == pytest.approx(0.46 / 64, rel=0.3)


def test_sobol_points_win_where_the_law_is_even_and_the_integrand_smooth(square):
    named = by_name(square)
    assert named["Sobol", "smooth"].slope < -1.2
    said = list(notes(SETTINGS, [], {}, 0, False, square))[-2]
    assert "smooth: Sobol wins, with an error" in said and "(2 uniform numbers each" in said
    ratio = named["stratified", "smooth"].rmse[-1] / named["Sobol", "smooth"].rmse[-1]
    assert ratio > 3 and f"smooth: Sobol wins, with an error {ratio:.2g} times smaller" in said


def test_units_and_constant_coordinates_change_nothing(square):
    points = even(2, 90)
    wider = np.insert(points * 2.0**10, 1, 5.0, axis=1)
    assert integrals(dataset(wider), SETTINGS) == square


@pytest.mark.slow
def test_another_seed_finds_the_same_rates_with_other_points(square):
    other = integrals(dataset(even(2, 90)), dataclasses.replace(SETTINGS, seed=1))
    rates_hold(other)
    assert all(a.rmse != b.rmse for a, b in zip(other.errors, square.errors, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "n"), [(1, 900), (3, 27)])
def test_slopes_in_other_dimensions(dim, n):
    rates_hold(integrals(dataset(even(dim, n)), SETTINGS))


def test_theoretical_slopes():
    rates = [[theoretical_slope(points, "rough", d) for d in (1, 2, 4)] for points in ONE_NUMBER]
    assert rates == [[-0.5] * 3, [-1.5, -1.0, -0.75], [-1.0, -1.0, -0.75]]
    assert [theoretical_slope("stratified", "indicator", d) for d in (1, 2, 4)] == [-1.0, -0.75, -0.625]
    assert theoretical_slope("Sobol", "smooth", 2) is None


@pytest.mark.parametrize(
    ("points", "labels", "sizes", "why"),
    [
        (np.zeros((30, 2)), None, (64,), "all points are the same"),
        (np.eye(40)[:, :17], None, (64,), "17 coordinates are more than 16"),
        (np.eye(30), ("a", "b") * 15, (64,), "with labels there is a law for each"),
        (np.eye(30), None, (), "none were asked for"),
    ],
)
def test_what_is_left_out_is_said(points, labels, sizes, why):
    found = integrals(dataset(points, labels), dataclasses.replace(SETTINGS, integrals=sizes))
    assert found.errors == () and (found.absent or "none were asked for") == why
    assert f"No integrals are compared: {why}." in list(notes(SETTINGS, [], {}, 0, False, found))


def record(stratified, extensible, sobol):
    last = {"i.i.d.": 1.0, "stratified": stratified, "extensible": extensible, "Sobol": sobol}
    errors = [IntegralError("rough", points, (2.0, e), 0.1, -0.7, None) for points, e in last.items()]
    return Integrals((64, 1024), 64, 2, tuple(errors))


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ((0.4, 0.2, 0.1), "rough: Sobol wins, with an error 2 times smaller."),
        ((0.1, 0.2, 0.3), "rough: Sobol loses, with an error 3 times larger."),
        # exp(2 sqrt(2) 0.1) = 1.327
        ((0.1, 0.2, 0.132), "rough: no difference seen (a factor of 1.3)."),
        ((0.1, 0.2, 0.133), "rough: Sobol loses, with an error 1.3 times larger."),
        ((0.0, 0.2, 0.0), "rough: the same error."),
        ((0.0, 0.2, 0.1), "rough: Sobol loses, with an error inf times larger."),
    ],
)
def test_who_wins_is_computed(last, said):
    assert list(notes(SETTINGS, [], {}, 0, False, record(*last)))[-2].endswith(said)


def test_the_figure_has_a_panel_for_each_integrand(square, monkeypatch):
    drawn = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    points = np.zeros((20, 1))
    bare = Report("test", ("x",), (), Halves((1.0,)), SETTINGS, points, points)
    dataclasses.replace(bare, integrals=square).plot("nowhere.png")
    bare.plot("nowhere.png")
    panels = [[ax for ax in figure.axes if "integral" in ax.get_title()] for figure in drawn]
    assert [len(some) for some in panels] == [3, 0]
    for ax, name in zip(panels[0], INTEGRANDS, strict=True):
        assert ax.get_title().endswith(name)
        errors = [error for error in square.errors if error.integrand == name]
        lines = {line.get_label(): line for line in ax.lines}
        assert len({line.get_marker() for line in lines.values()}) == 5  # four, and none for what is proven
        for error in errors:
            assert tuple(lines[f"{error.points}, slope {error.slope:.2f}"].get_ydata()) == error.rmse
