"""Text to ids and back, for models that turn text into text."""

from collections.abc import Iterable

import numpy as np

from service.arrays import IntArray
from service.manifest import END, UNKNOWN, Decoding, Vocabulary


class Codec:
    """What a model of text needs around it.

    Args:
        vocabulary: the characters, each at the place of its id.
        decoding: how the model searches.

    Attributes:
        longest: characters of an answer at most.
        beam: width of the search where a request does not say.
    """

    def __init__(self, vocabulary: Vocabulary, decoding: Decoding) -> None:
        self.longest, self.beam = decoding.longest, decoding.beam
        self._ids = {character: i for i, character in enumerate(vocabulary.input)}
        self._characters = vocabulary.output

    def encode(self, text: str) -> IntArray:
        """Ids `(time,)` int32, UNKNOWN where the model has never seen the character."""
        return np.array([self._ids.get(character, UNKNOWN) for character in text], np.int32)

    def unknown(self, text: str) -> list[int]:
        """Where in the text there are characters that the model has never seen."""
        return [i for i, character in enumerate(text) if character not in self._ids]

    def decode(self, ids: Iterable[int]) -> str:
        """The text that ids stand for, up to the first END."""
        characters = []
        for i in ids:
            if i == END:
                break
            characters.append(self._characters[i])
        return "".join(characters)
