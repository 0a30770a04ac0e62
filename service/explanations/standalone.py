"""A chart as a web page that needs nothing but itself: opened from a disk and without a network, it draws."""

import re
from html import escape
from typing import Any

# Wide as the window: what stands beside the panels, axes and names, keeps its size.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; background: {background}; font-family: sans-serif }}
#chart {{ display: block; margin: 0; overflow-x: auto }}
</style>
</head>
<body>
<main><figure id="chart" role="img" tabindex="0" aria-label="{description}"></figure></main>
<script>{bundle}</script>
<script>
const chart = document.getElementById("chart"), description = chart.getAttribute("aria-label");
vegaEmbed(chart, {chart}, {{ renderer: "svg", ast: true, actions: false }}).then(({{ view }}) => {{
  chart.setAttribute("role", "img");  // Vega has called it a document of graphics, and named it after nothing
  chart.setAttribute("aria-label", description);
  const fit = async () => {{
    for (let time = 0; time < 2; time++) {{  // a name at the end of a line hangs over by more, the narrower its panel
      const beside = chart.querySelector("svg").width.baseVal.value - view.width();
      await view.width(Math.max({least}, Math.min({most}, chart.clientWidth - beside))).runAsync();
    }}
    chart.dataset.width = chart.clientWidth;
  }};
  addEventListener("resize", fit);
  fit();
}});
</script>
</body>
</html>
"""


def standalone(chart: dict[str, Any], definition: bytes, bundle: bytes) -> bytes:
    """The page.

    Args:
        chart: a Vega-Lite definition.
        definition: the same as JSON.
        bundle: the JavaScript that draws it, see `Renderer.bundle`.
    """
    usermeta = chart["usermeta"]
    page = PAGE.format(
        title=escape(" ".join(chart["title"]["text"])),
        description=escape(chart["description"]),
        background=chart["config"]["background"],
        least=usermeta["least"],
        most=usermeta["most"],
        chart="{chart}",
        bundle="{bundle}",
    )
    # A "</script>" in a text of the user's would end the script.
    head, middle, tail = re.split(r"\{bundle\}|\{chart\}", page)
    script = bundle.replace(b"</script", b"<\\/script")
    return b"".join([head.encode(), script, middle.encode(), definition.replace(b"<", b"\\u003c"), tail.encode()])
