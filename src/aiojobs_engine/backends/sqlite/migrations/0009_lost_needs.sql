-- lost: NULL while `dependent` waits; else the epoch in which it was cancelled because `job` ended in another way. The row
-- then goes with one of the two, or when `dependent` waits again.
ALTER TABLE needs ADD COLUMN lost INTEGER;
