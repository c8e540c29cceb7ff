"""Data for demonstrations: books of trades, and values to check their prices against."""
