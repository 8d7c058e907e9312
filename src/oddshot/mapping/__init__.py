"""The mapping: any row, seen against its own data set, becomes a fixed-width vector."""
