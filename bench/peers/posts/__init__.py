"""The only table of the peer that stores messages."""
