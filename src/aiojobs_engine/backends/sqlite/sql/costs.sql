-- Reads the lanes and costs of the jobs :seqs: [[seq, lane, cost], ...].
SELECT json_group_array(json_array(seq, lane, cost)) FROM json_each(:seqs) CROSS JOIN jobs ON jobs.seq = value
