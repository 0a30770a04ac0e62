"""The JSON bodies of the API, as documented in /docs: a file for each kind of request, as in `routes/`."""
