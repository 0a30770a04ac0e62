"""A chart as a web page that needs nothing but itself: opened from a disk and without a network, it draws."""

from html import escape
from typing import Any

import orjson

# Wide as the window: what stands beside the panels, axes and names, keeps its size.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; background: {background}; color: {ink}; font-family: sans-serif }}
h1 {{ margin: 12px 12px 2px; font-size: 15px }}
p {{ margin: 0 12px; font-size: 12px }}
#chart {{ display: block; margin: 0; overflow-x: auto }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{found}
<figure id="chart" role="img" tabindex="0" aria-label="{description}"></figure>
</main>
<script>{bundle}</script>
<script>
const chart = document.getElementById("chart"), description = chart.getAttribute("aria-label");
vegaEmbed(chart, {chart}, {{ renderer: "svg", ast: true, actions: false }}).then(({{ view }}) => {{
  chart.querySelector("svg").setAttribute("aria-hidden", "true");  // the figure is described, as a whole
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


def standalone(chart: dict[str, Any], bundle: bytes) -> bytes:
    """The page. The chart's title is text of the page's own, which fits into any width.

    Args:
        chart: a Vega-Lite definition.
        bundle: the JavaScript that draws it, see `Renderer.bundle`.
    """
    usermeta, title, config = chart["usermeta"], chart["title"], chart["config"]
    definition = orjson.dumps({**chart, "title": None}, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    page = PAGE.format(
        title=escape(" ".join(title["text"])),
        found="\n".join(f"<p>{escape(line)}</p>" for line in title["subtitle"]),
        description=escape(chart["description"]),
        background=config["background"],
        ink=config["title"]["color"],
        least=usermeta["least"],
        most=usermeta["most"],
        chart=definition.replace("<", r"\u003c"),  # a "</script>" in a text of the user's would end the script
        bundle=bundle.decode().replace("</script", r"<\/script"),
    )
    return page.encode()
