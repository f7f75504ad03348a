-- Counts the jobs that run, by lane: [[lane, number], ...].
SELECT json_group_array(json_array(lane, number))
FROM (SELECT lane, count(*) AS number FROM jobs WHERE status = 4 GROUP BY lane)
