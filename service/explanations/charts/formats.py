"""The formats and themes of pictures. Imports nothing that draws: the server knows them, too."""

from typing import Literal

Drawn = Literal["vl.json", "svg", "png"]
ThemeName = Literal["light", "dark"]
