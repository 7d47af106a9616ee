"""Free text to label weights."""

import pytest
from hypothesis import given, settings, strategies as st

from jaxgen.modalities._names import STATES
from jaxgen.modalities._words import match

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = {name: f"handwritten digit {name}" for name in NAMES}


@pytest.mark.parametrize(
    ("prompt", "weights"),
    [
        ("a map of Alaska and Hawaii", {"AK": 1 / 2, "HI": 1 / 2}),
        ("West Virginia", {"WV": 1}),
        ("Virginia", {"VA": 1}),
        ("virgin islands", {"VI": 1}),
        ("Kansas", {"KS": 1}),
        ("Arkansas, please!", {"AR": 1}),
        ("New York and New Jersey", {"NY": 1 / 2, "NJ": 1 / 2}),
        ("North Dakota and South Carolina", {"ND": 1 / 2, "SC": 1 / 2}),
        ("North and South Dakota", {"ND": 1 / 2, "SD": 1 / 2}),
        ("the Dakotas", {"ND": 1 / 2, "SD": 1 / 2}),
        ("Alaska and Dakota", {"AK": 1 / 2, "ND": 1 / 4, "SD": 1 / 4}),
        ("Washington", {"WA": 1}),
        ("Washington DC", {"DC": 1}),
        ("the District of Columbia", {"DC": 1}),
        ("give me IN, OR and HI", {"IN": 1 / 3, "OR": 1 / 3, "HI": 1 / 3}),
        ("hi, a map in or of Ohio", {"OH": 1}),
        ("tx_airports", {"TX": 1}),
    ],
)
def test_states(prompt, weights):
    assert match(prompt, STATES) == pytest.approx(weights)


@pytest.mark.parametrize(
    "prompt", ["handwritten seven", "7", "Seven", "some sevens", "SEVEN", "a handwritten 7, please"]
)
def test_seven(prompt):
    assert match(prompt, DIGITS) == {"seven": 1}


def test_words_that_all_labels_share_choose_all_of_them():
    assert match("handwritten digits", DIGITS) == pytest.approx(dict.fromkeys(DIGITS, 0.1))


def test_every_label_is_known_by_its_name_and_by_its_description():
    for code, name in STATES.items():
        assert match(code, STATES) == {code: 1}
        assert match(name, STATES) == {code: 1}


def test_labels_may_be_integers_or_lack_a_description():
    assert match("3 and twelve", {3: "", 12: "", 7: "three hundred"}) == pytest.approx({3: 0.5, 12: 0.5})
    assert match("only", {"only": ""}) == {"only": 1}


def test_ten_thousand_labels():
    labels = {f"label{i}": f"number {i}" for i in range(10_000)}
    assert match("numbers 777 and 4242", labels) == pytest.approx({"label777": 0.5, "label4242": 0.5})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=4, unique=True))
def test_codes_in_a_list_share_equally(codes):
    assert match(", ".join(codes), STATES) == pytest.approx(dict.fromkeys(codes, 1 / len(codes)))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_answered_or_refused(text):
    try:
        weights = match(text, STATES)
    except ValueError:
        return
    assert set(weights) <= set(STATES)
    assert min(weights.values()) > 0
    assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("prompt", ["", "   \n"])
def test_an_empty_prompt_is_refused(prompt):
    with pytest.raises(ValueError, match="prompt is empty; try"):
        match(prompt, STATES)


def test_a_refusal_names_what_is_near():
    with pytest.raises(ValueError, match=r"nothing in the prompt 'Alasca' is known; try 'Alaska' \(label AK\)"):
        match("Alasca", STATES)
    with pytest.raises(ValueError, match="or 5 more"):
        match("!?", DIGITS)
    with pytest.raises(TypeError, match="string"):
        match(7, DIGITS)
