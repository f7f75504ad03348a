-- Looks through the whole file for damage, as far as the first few places of it: [text, ...], of which "ok" alone is good.
SELECT json_group_array(integrity_check) FROM (SELECT integrity_check FROM pragma_integrity_check(10))
