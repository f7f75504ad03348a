#!lua
--[[ Gives an ended bulk job chunks for its unresolved rows.

Uses base, ledger, limits, flow, kin.
Request  {id of the parent, children as in `enqueue`}
Returns  the events' entry, 1 when it was allowed and one of the children was new
]]
local parent, ids, fresh, seen = by_ids({request[1]})[1], {}, {}, {}
for index, child in ipairs(request[2]) do ids[index] = child[1] end
for index, seq in ipairs(fetch('ZMSCORE', JOBS, ids)) do
  if not seq and not seen[ids[index]] then
    seen[ids[index]] = true
    fresh[#fresh + 1] = request[2][index]
  end
end
if not parent or parent.x.parent or parent.x.batch or #fresh == 0 or (parent.code ~= PARTIAL and parent.code ~= FAILED) then
  return {false, 0}
end
parent.x.epoch = (parent.x.epoch or 0) + 1
parent.x.error = nil
move(parent, WAITING)
tell('JobRetrying', parent, ',"",' .. at)
add(fresh, parent, true)
save()
return {finish(), 1}
