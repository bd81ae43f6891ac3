"""A page of the report in a real browser, and what tests ask of it."""

import re


class Opened:
    """A page in the browser, with everything that it complained of or asked for."""

    def __init__(self, browser, path, width=1300):
        self.troubles = []
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        own = "willReadFrequently"  # what the browser advises these tests, which read canvases again and again
        self.page.on("console", lambda said: self.troubles.append(said.text) if own not in said.text else None)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda asked: self.troubles.append(asked.url) if asked.url != path.as_uri() else None)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready]", state="attached", timeout=120_000)

    def choose(self, quantity, layer=None):
        if layer:
            self.page.select_option("#map-layer", layer)
        self.page.select_option("#map-quantity", quantity)
        wanted = f"{quantity} {layer or ''}".strip()
        self.page.wait_for_function("w => document.getElementById('map-stage').dataset.drawn.startsWith(w)", arg=wanted)

    def where(self, cell, panel=0):
        self.page.evaluate("document.getElementById('map-stage').scrollIntoView({block: 'center'})")
        script = "([cell, panel]) => document.getElementById('map-stage').maps.whereIs(cell, panel)"
        return self.page.evaluate(script, [cell, panel])

    def hover(self, cell, panel=0):
        self.page.mouse.move(0, 0)
        self.page.mouse.move(*self.where(cell, panel))
        return self.page.inner_text("#map-tooltip")

    def tooltip(self, words):
        """Wait until the tooltip holds some words."""
        self.page.wait_for_function("w => document.getElementById('map-tooltip').innerText.includes(w)", arg=words)
        return " ".join(self.page.inner_text("#map-tooltip").split())

    def pin(self, cell, name):
        self.hover(cell)
        self.page.mouse.click(*self.where(cell))
        self.page.wait_for_selector(f'#cell-panel[data-cell="{name}"]')
        return " ".join(self.page.inner_text("#cell-panel").split())

    def colour(self, cell, panel=0):
        """The colour in the middle of a cell."""
        script = """([cell, panel]) => {
            const one = document.getElementById("map-stage").maps.state.shown[panel];
            const [x, y] = one.toScreen(one.geography.latitude[cell], one.geography.longitude[cell]);
            const pixel = one.base.getContext("2d").getImageData(x * one.ratio, y * one.ratio, 1, 1);
            return [...pixel.data.slice(0, 3)];
        }"""
        return self.page.evaluate(script, [cell, panel])


def numbers(text):
    """All numbers of a text, powers of ten included."""
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    text = re.sub(r"×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", lambda power: f"e{power.group(1).translate(powers)}", text)
    found = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text.replace("−", "-").replace(",", ""))
    return [float(one) for one in found]
