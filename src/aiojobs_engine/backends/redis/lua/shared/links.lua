--[[ New jobs that are bound to others: batches, their members, and jobs that wait for others.
]]
-- Stores a new job whose links are all there.
local function add_linked(given)
  local links, open, all_met, why, formers = given[7], 0, true, nil, {}
  for _, need in ipairs(links[3]) do
    local key = need[1] .. ' ' .. need[2]
    if not formers[key] then
      local former = by_ids({need[1]})[1]
      local is_met = verdict(need[2], former)
      formers[key] = true
      formers[#formers + 1] = {former, need[2], is_met}
      all_met = all_met and is_met
      if is_met == nil then open = open + 1 end
      if is_met == false then why = unmet(former, former.code) end
    end
  end
  local batch, waits = links[2] and by_ids({links[2]})[1], links[1] or not all_met
  local job = get(add({given}, batch, false, waits))
  if batch then
    local sums = counters(batch)
    batch.x.counters = {sums[1], sums[2], sums[3], sums[4] + 1}
  end
  change(job)
  if links[1] then
    job.started, job.x.batch, job.x.open = now, true, 1 -- held until the call that brings its members is over
  elseif waits then
    job.x.needs, job.x.error = open > 0 and open or nil, why
    for _, each in ipairs(formers) do
      if each[3] == nil then wait_for(job, each[2], each[1]) end
      if each[3] == false then lose(each[1], job) end
    end
  end
  return job
end
