"""Counts and lists of names in sentences."""

from mdaf_core.base.words import listed, plural, some


def test_names_while_there_is_room() -> None:
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert some(["a", "b", "c", "d", "e"], room=5) == "a, b, c, d, e"
    assert some(["a", "b", "c", "d", "long"], room=5) == "a, b, c, d and 1 more"
    assert some(["as-long-as-people-give-them"] * 4, room=20).endswith("them and 1 more")
    assert some([]) == ""
    assert some(["a"] * 1_204) == "a, a, a and 1,201 more"


def test_counts_and_lists() -> None:
    assert [plural(count, "seed") for count in (0, 1, 2, 1_200)] == ["0 seeds", "1 seed", "2 seeds", "1,200 seeds"]
    assert [listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert listed(("a", "b", "c"), "or") == "a, b or c"
