"""Lists of names in sentences."""

from mdaf_core.base.words import some


def test_names_while_there_is_room() -> None:
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert some(["a", "b", "c", "d", "e"], room=5) == "a, b, c, d, e"
    assert some(["a", "b", "c", "d", "long"], room=5) == "a, b, c, d and 1 more"
    assert some(["as-long-as-people-give-them"] * 4, room=20).endswith("them and 1 more")
    assert some([]) == ""
