-- waits_for: the entry for want of which a fire was skipped.
ALTER TABLE cron_fires ADD COLUMN waits_for TEXT;
