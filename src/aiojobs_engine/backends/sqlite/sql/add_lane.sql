-- Makes a lane, unless another process has made it.
INSERT INTO lanes (queue, type, kind, v) VALUES (:queue, :type, :kind, :v) ON CONFLICT DO NOTHING
