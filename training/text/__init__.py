"""Text in, text out: pairs of texts, the encoder-decoder, its search, and how it is fitted, judged and published."""
