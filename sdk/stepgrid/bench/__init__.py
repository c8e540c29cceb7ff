"""Figures about the grid: what a session costs, and how long it would take elsewhere."""
