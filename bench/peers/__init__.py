"""What ours is measured beside: each server as small as its documentation shows it, and nothing more."""
