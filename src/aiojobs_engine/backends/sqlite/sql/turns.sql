-- Reads the turns of the jobs :seqs: [[seq, turn], ...].
SELECT json_group_array(json_array(seq, turn)) FROM json_each(:seqs) CROSS JOIN jobs ON jobs.seq = value
