"""The formats that rows come in: each finds its record boundaries and reads slices of them."""
