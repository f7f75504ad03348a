-- Tells every process to read lanes and pauses anew.
UPDATE meta SET lanes_version = lanes_version + 1
