"""The charts of explanations, as Altair defines them."""
