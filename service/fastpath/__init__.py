"""Predictions beneath ASGI: the protocol of a connection, the formats it takes, and when answers are written."""
