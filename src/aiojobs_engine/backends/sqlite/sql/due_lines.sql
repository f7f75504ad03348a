-- Reads at most :limit lines that are to be looked at, with their state, how many of their jobs run, and the first :most
-- of those that may be claimed and of those that are held back:
-- the version of the lanes, and [[line, state, running, [[priority, turn, seq, cost], ...], [...]], ...].
SELECT (SELECT lanes_version FROM meta), json_group_array(json_array(
    line, json(coalesce(state, '[]')),
    (SELECT count(*) FROM jobs WHERE jobs.line = due.line AND status = 4),
    json((
        SELECT json_group_array(json_array(priority, turn, seq, cost))
        FROM (
            SELECT priority, coalesce(turn, seq * 1000) AS turn, seq, cost FROM jobs
            WHERE jobs.line = due.line AND status = 2 AND held = 0
            ORDER BY priority DESC, coalesce(jobs.turn, seq * 1000), seq
            LIMIT :most
        )
    )),
    json((
        SELECT json_group_array(json_array(priority, turn, seq, cost))
        FROM (
            SELECT priority, coalesce(turn, seq * 1000) AS turn, seq, cost FROM jobs
            WHERE jobs.line = due.line AND status = 2 AND held = 1
            ORDER BY priority DESC, coalesce(jobs.turn, seq * 1000), seq
            LIMIT :most
        )
    ))
))
FROM (SELECT line, state FROM lines WHERE again_at IS NOT NULL AND again_at <= :now ORDER BY again_at LIMIT :limit) AS due
