#!lua
--[[ Stores what runs report while they go on; stale ones change nothing.

Uses base, ledger, limits, flow, kin.
Request  records, each {place, token, counters, message, cursor, event as JSON, children};
         false where there is none; children as in `enqueue`, with their total as the last
Returns  the events' entry, then of each 1 when it holds, 0 when its lease is stale
]]
local seqs, answers = {}, {}
for index, record in ipairs(request) do seqs[index] = record[1] end
load(seqs)

local function add_chunks(job, children)
  local ids, fresh, added = {}, {}, 0
  for index, child in ipairs(children) do ids[index] = child[1] end
  local seen = {}
  for index, seq in ipairs(fetch('ZMSCORE', JOBS, ids)) do
    if not seq and not seen[ids[index]] then
      seen[ids[index]] = true
      fresh[#fresh + 1] = children[index]
      added = added + children[index][7]
    end
  end
  add(fresh, job)
  if added > 0 then
    local sums = counters(job)
    job.x.counters = {sums[1], sums[2], sums[3], sums[4] + added}
  end
end

for index, record in ipairs(request) do
  local job = ledger[record[1]]
  answers[index] = 0
  if job and job.code == PROCESSING and job.token == record[2] then
    report(job, record[3], record[4], record[5])
    if record[7] then add_chunks(job, record[7]) end
    if record[6] then told[#told + 1] = record[6] end
    answers[index] = 1
  end
end
save()
return {finish(), answers}
