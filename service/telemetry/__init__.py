"""What the server says about itself: numbers, and the ids of requests."""
