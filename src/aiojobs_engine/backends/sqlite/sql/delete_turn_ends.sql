-- Forgets the turns that the clocks have passed.
DELETE FROM turn_ends
WHERE ends <= (
    SELECT clock FROM turn_clocks
    WHERE turn_clocks.queue = turn_ends.queue AND turn_clocks.priority = turn_ends.priority
)
