import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from festkit._support.names import find_name, normalize_name

KNOWN = ["ACM", "ALCNet", "DNA-Net", "UIU-Net"]


@pytest.mark.parametrize("spelling", ["DNA-Net", "dnanet", "DNA_NET", " dna net ", "DnA--NeT"])
def test_case_hyphens_underscores_and_spaces_do_not_matter(spelling):
    assert find_name("backbone", spelling, KNOWN) == "DNA-Net"


@given(
    st.sampled_from(KNOWN),
    st.lists(st.tuples(st.sampled_from(["", "-", "_", " "]), st.booleans()), min_size=7),
)
def test_any_spelling_of_a_known_name_is_found(name, changes):
    letters = [
        gap + (letter.swapcase() if swap else letter)
        for letter, (gap, swap) in zip(name, changes, strict=False)
    ]
    assert find_name("backbone", "".join(letters), KNOWN) == name


@given(st.text(string.ascii_letters + string.digits + "-_ "))
def test_plain_is_settled_after_one_turn(name):
    assert normalize_name(normalize_name(name)) == normalize_name(name)


def test_an_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"^unknown backbone 'DNANett'; choose from ACM, ALCNet, DNA-Net, UIU-Net\. "
        r"Did you mean 'DNA-Net'\?$",
    ):
        find_name("backbone", "DNANett", KNOWN)


def test_a_name_far_from_all_gets_no_guess():
    with pytest.raises(ValueError, match=r"^unknown loss 'zzz'; choose from BCE, Dice\.$"):
        find_name("loss", "zzz", ["BCE", "Dice"])
