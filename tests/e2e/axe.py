"""What axe says of a page that has come to rest, and what it does not look for."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# A colour on its way from one theme to the other is no colour of ours.
_AT_REST = """() => Promise.all(document.getAnimations()
  .filter(one => one.effect.getComputedTiming().activeDuration !== Infinity)
  .map(one => one.finished.catch(() => null))).then(() => null)"""


def violations(page: Page, *, colours_only: bool = False) -> list[str]:
    """Return what axe finds on the page, of whatever impact, best practice included."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if colours_only:
        options["runOnly"] = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    page.evaluate(_AT_REST)
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['impact']} {each['id']}: {each['help']} {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
    ]


_OWN_WORDS = "th:not([scope=row]), dt, h1, h2, h3, label, legend, nav a, button, .btn, .status, .pill, .proof"
_BROKEN_WORDS = """own => {
  const broken = []
  for (const one of document.querySelectorAll(own)) {
    if (!one.checkVisibility({visibilityProperty: true}) || one.closest(".visually-hidden")) continue
    const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT)
    for (let text; (text = texts.nextNode()); ) {
      for (const word of text.data.matchAll(/[A-Za-z]+/g)) {
        const range = document.createRange()
        range.setStart(text, word.index)
        range.setEnd(text, word.index + word[0].length)
        const lines = new Set([...range.getClientRects()].map(each => Math.round(each.top)))
        if (lines.size > 1) broken.push(`${word[0]} in ${text.data.trim()}`)
      }
    }
  }
  return broken
}"""


def broken_words(page: Page) -> list[str]:
    """Return the words of the console's own that stand in two lines; names, paths and addresses may be broken."""
    found: list[str] = page.evaluate(_BROKEN_WORDS, _OWN_WORDS)
    return found


_SPILLED = """cells => [...document.querySelectorAll(cells)]
  .filter(one => one.clientWidth > 4 && one.scrollWidth > one.clientWidth + 1 && !one.closest(".visually-hidden"))
  .map(one => `${one.innerText.trim()}: ${one.scrollWidth} > ${one.clientWidth} px`)"""


def spilled(page: Page) -> list[str]:
    """Return what is wider than the cell it stands in, and so lies over the next one."""
    found: list[str] = page.evaluate(_SPILLED, "td, th, dd, dt")
    return found
