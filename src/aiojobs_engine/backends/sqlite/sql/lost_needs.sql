-- Finds who was cancelled for want of the jobs :seqs, and for want of those: [[job, dependent, epoch], ...], in the order
-- in which the dependents were accepted.
WITH RECURSIVE lost (job, dependent, epoch) AS (
    SELECT needs.job, needs.dependent, needs.lost
    FROM json_each(:seqs) CROSS JOIN needs ON needs.job = value AND needs.lost IS NOT NULL
    UNION
    SELECT needs.job, needs.dependent, needs.lost
    FROM lost CROSS JOIN needs ON needs.job = lost.dependent AND needs.lost IS NOT NULL
)

SELECT json_group_array(json_array(job, dependent, epoch)) FROM (SELECT job, dependent, epoch FROM lost ORDER BY dependent)
