"""For tests: a clock to move by hand, a store that fails on cue, and the suite that every store passes."""
