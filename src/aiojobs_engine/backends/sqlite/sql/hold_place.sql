-- Gives the place :name to :holder until :until, and moves it to :cursor unless that is NULL. Changes nothing while the
-- lease of somebody else lasts.
INSERT INTO places (name, holder, lease_boot, lease_until, cursor)
VALUES (:name, :holder, :boot, :until, :cursor)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, lease_boot = excluded.lease_boot, lease_until = excluded.lease_until,
    cursor = coalesce(excluded.cursor, cursor)
WHERE holder = excluded.holder OR lease_boot <> excluded.lease_boot OR lease_until <= :elapsed
