"""Looks: what a reader's eye would find wrong with a page."""

from __future__ import annotations

from playwright.async_api import Page


async def overflow(page: Page) -> str:
    """What makes the page scroll sideways; empty if nothing does."""
    found: str = await page.evaluate(
        """() => {
          const room = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= room) return "";
          const wide = [...document.body.querySelectorAll("*")].filter(
            (element) => element.getBoundingClientRect().right > room + 1);
          const names = wide.map((element) => element.id || element.className || element.tagName);
          return `${document.documentElement.scrollWidth} px wide in ${room}: ${names.join(", ")}`;
        }"""
    )
    return found


FAINT = """() => {
  const still = document.createElement("style");
  still.textContent = "* { transition: none !important; }"; // a colour on its way is no colour yet
  document.head.append(still);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const paint = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const rgba = (color) => known.get(color) ?? known.set(color, paint(color)).get(color);
  const over = ([red, green, blue, alpha], below) =>
    [red, green, blue].map((value, at) => (value * alpha + below[at] * (255 - alpha)) / 255);
  const linear = (value) =>
    value <= 0.04045 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) =>
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const grounds = new Map([[null, [255, 255, 255]]]);
  const ground = (element) => {
    if (!grounds.has(element)) {
      const below = ground(element.parentElement);
      grounds.set(element, over(rgba(getComputedStyle(element).backgroundColor), below));
    }
    return grounds.get(element);
  };

  // Code is thousands of words in a handful of colours: one of each is looked at in each block.
  const blocks = new Map();
  const isKnown = (element, block) => {
    const kinds = blocks.get(block) ?? blocks.set(block, new Set()).get(block);
    return kinds.size === kinds.add(`${element.className} ${element.parentElement.className}`).size;
  };

  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim(), element = texts.currentNode.parentElement;
    if (!text || element.closest("script, style, svg, :disabled")) continue;
    const block = element.closest("pre");
    if (block && isKnown(element, block)) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const style = getComputedStyle(element), below = ground(element);
    const both = [luminance(over(rgba(style.color), below)), luminance(below)];
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)}:1 ${text.slice(0, 40)}`);
  }
  still.remove();
  return [...found];
}"""


async def faint(page: Page) -> list[str]:
    """The visible texts with less contrast than WCAG 2.2 §1.4.3 asks for (level AA).

    Text in controls that are disabled does not count there, and text in pictures not here.
    """
    found: list[str] = await page.evaluate(FAINT)
    return found
