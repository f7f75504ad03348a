-- Stores the tags of jobs that were accepted after :last. :rows [[id, [tag, ...]], ...].
INSERT INTO tags (tag, seq)
SELECT DISTINCT tag.value, jobs.seq
FROM json_each(:rows) AS tagged CROSS JOIN json_each(tagged.value, '$[1]') AS tag
CROSS JOIN jobs ON jobs.id = tagged.value ->> 0
WHERE jobs.seq > :last
