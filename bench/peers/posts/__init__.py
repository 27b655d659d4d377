"""The one table of the peer that stores."""
