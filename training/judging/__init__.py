"""What a fitted model is worth: quality beside simpler answers, its weights put to the test, and the report."""
