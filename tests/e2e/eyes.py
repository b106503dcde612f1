"""Whether a page can be used by all: axe's findings, and nothing that scrolls the page sideways in a narrow window."""

from __future__ import annotations

import re

import streamlit as st
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.clicks import settled

# Streamlit's own findings, as of the version named: rule → elements it may concern, and why it stays. `unneeded` names
# those that are no longer found.
VERSION = "1.67."
THEIRS = {
    "list": (r'data-testid="stSidebarNavItems"', "its list of pages has sections as children, which are no items"),
    "listitem": (r'<li class="st-emotion-cache', "the items of that list lie in those sections"),
}
SCROLLS = """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
  .some(e => e.scrollWidth > e.clientWidth)"""
NARROW, USUAL = {"width": 390, "height": 900}, {"width": 1440, "height": 1000}


def examine(page: Page) -> set[str]:
    """Assert that the page is sound, light, dark and narrow; returns the rules of Streamlit's own findings."""
    settled(page)
    page.wait_for_function("!document.querySelector('[data-stale=true], [data-testid=stSkeleton]')")
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    theirs, ours = set(), {}
    for rule, nodes in _found(page).items():
        mine = [node for node in nodes if not _is_theirs(rule, node)]
        if len(mine) < len(nodes):
            theirs.add(rule)
        if mine:
            ours[rule] = mine[:3]
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)  # Streamlit's own transition
    if dark := _found(page, "color-contrast"):
        ours["in the dark"] = dark["color-contrast"][:3]
    page.emulate_media(color_scheme="light")
    assert not ours, f"{page.url}: {ours}"
    page.set_viewport_size(NARROW)
    page.wait_for_function(f"!({SCROLLS})()")  # charts are drawn anew
    page.set_viewport_size(USUAL)
    return theirs


def unneeded(theirs: set[str]) -> list[str]:
    """Exceptions that this Streamlit no longer needs."""
    return [rule for rule in THEIRS if rule not in theirs or not st.__version__.startswith(VERSION)]


def _is_theirs(rule: str, node: str) -> bool:
    return re.search(THEIRS.get(rule, ("(?!)", ""))[0], node) is not None


def _found(page: Page, *rules: str) -> dict[str, list[str]]:
    """Rule → elements, of serious and critical findings that last: what fades in is faint for a moment."""
    found = _scanned(page, *rules)
    for _ in range(2):
        if all(_is_theirs(rule, node) for rule, nodes in found.items() for node in nodes):
            break
        page.wait_for_timeout(1000)
        again = _scanned(page, *rules)
        found = {rule: kept for rule in found if (kept := [one for one in found[rule] if one in again.get(rule, ())])}
    return found


def _scanned(page: Page, *rules: str) -> dict[str, list[str]]:
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    response = Axe().run(page, options={"resultTypes": ["violations"], **only}).response
    return {
        one["id"]: [node["html"][:200] for node in one["nodes"]]
        for one in response["violations"]
        if one["impact"] in ("serious", "critical")
    }
