-- Holds back the jobs :held of :seqs, and lets the others be claimed.
UPDATE jobs SET held = seq IN (SELECT value FROM json_each(:held)) WHERE seq IN (SELECT value FROM json_each(:seqs))
