-- Finds the chunks of the bulk jobs :seqs: [seq, ...].
SELECT json_group_array(jobs.seq) FROM json_each(:seqs) CROSS JOIN jobs ON jobs.parent = value
