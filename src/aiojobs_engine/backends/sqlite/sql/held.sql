-- Reads which of the leases :leases hold, [[seq, token], ...]: [[seq, token, cancelling, pausing], ...].
SELECT json_group_array(
    json_array(
        jobs.seq, jobs.token,
        json(CASE WHEN cancelling THEN 'true' ELSE 'false' END),
        json(CASE WHEN pausing THEN 'true' ELSE 'false' END)
    )
)
FROM json_each(:leases) CROSS JOIN jobs ON jobs.seq = value ->> 0
WHERE jobs.token = value ->> 1 AND jobs.status = 4
