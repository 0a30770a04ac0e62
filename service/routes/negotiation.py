"""What a client prefers of what there is, by its `Accept` header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str, offers: Sequence[str]) -> str:
    """The media type that the client likes best; the first of equals, and where it likes none of them.

    Args:
        offers: media types, the most specific rule of the header counts for each.
    """
    rules = [_rule(part) for part in accept.split(",") if part.strip()]
    return max(offers, key=lambda offer: _quality(offer, rules))


def _rule(part: str) -> tuple[str, float]:
    """A range of media types, and how much it is liked, from 0 to 1."""
    kind, *parameters = (one.strip().lower() for one in part.split(";"))
    quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return kind, min(1.0, max(0.0, float(quality)))
    except ValueError:
        return kind, 0.0


def _quality(offer: str, rules: list[tuple[str, float]]) -> float:
    liked = dict(reversed(rules))
    for range in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        if range in liked:
            return liked[range]
    return 0.0
