--[[ First runs: their state, and what is told of them.
]]
-- The state of a first run; all that begin together in a worker and lane share it.
local function first_state(worker, lane, is_ahead)
  return cmsgpack.pack({PROCESSING, 1, 0, 0, now, false, worker, lane, false, false, is_ahead or nil})
end

local FIRST = ',1,' .. at .. ',"",'

-- The `JobStarted` of a job that never ran; `by` is the worker as JSON after a comma, and the end of the event.
local function started(body, by)
  local ident, user, kin, flags = pieces(body)
  local total = 0
  if flags ~= 0 then
    local _, _, _, _, _, _, _, _, own = struct.unpack(HEAD, body)
    total = own
  end
  return '["JobStarted",' .. ident .. ',"processing",0,' .. total .. ',0,0,' .. user .. FIRST .. kin .. by
end
