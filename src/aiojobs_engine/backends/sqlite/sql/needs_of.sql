-- Finds who waits for the jobs :seqs: [[need, job, dependent, whether], ...], in the order in which they came.
SELECT json_group_array(json_array(need, job, dependent, whether))
FROM (
    SELECT needs.need, needs.job, needs.dependent, needs.whether
    FROM json_each(:seqs) CROSS JOIN needs ON needs.job = value AND needs.lost IS NULL
    ORDER BY needs.need
)
