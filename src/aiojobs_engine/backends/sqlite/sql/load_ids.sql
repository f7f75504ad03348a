-- Finds the numbers of the jobs :ids, in that order: [[id, seq], ...]; unknown ones are left out.
SELECT json_group_array(json_array(jobs.id, jobs.seq)) FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value
