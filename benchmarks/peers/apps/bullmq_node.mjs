// BullMQ on Node.js: `node bullmq_node.mjs work|many|one|steady TASK COUNT`. It counts as harness/tally.py does.
import { createRequire } from 'node:module'
import fs from 'node:fs'

const require = createRequire(process.env.BULLMQ_HOME + '/package.json')
const { Queue, Worker } = require('bullmq')
const connection = { host: '127.0.0.1', port: Number(process.env.PEER_PORT), maxRetriesPerRequest: null }
const slots = Number(process.env.PEER_SLOTS ?? 100)
const folder = process.env.BENCHMARK_TALLY ?? '.'
const now = () => Number(process.hrtime.bigint()) / 1e9
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function work() {
  const tally = Buffer.alloc(128)
  const fd = fs.openSync(`${folder}/${process.pid}.tally`, 'w+')
  let ran = 0, sum = 0, running = 0, most = 0, first = 0
  const write = () => {
    tally.writeBigInt64LE(BigInt(ran), 0); tally.writeBigInt64LE(BigInt(sum), 8)
    tally.writeBigInt64LE(BigInt(running), 16); tally.writeBigInt64LE(BigInt(most), 24)
    tally.writeDoubleLE(first, 64); tally.writeDoubleLE(now(), 72)
    fs.writeSync(fd, tally, 0, 128, 0)
  }
  let isDirty = false
  const note = () => { if (!isDirty) { isDirty = true; setImmediate(() => { isDirty = false; write() }) } }
  const worker = new Worker('peers', async (job) => {
    if (!first) first = now()
    running += 1; most = Math.max(most, running)
    if (job.name === 'nap') await sleep(50)
    if (job.name === 'stamp') {
      const moment = Buffer.alloc(16)
      moment.writeBigInt64LE(BigInt(job.data.n), 0); moment.writeDoubleLE(now(), 8)
      fs.appendFileSync(`${folder}/moments`, moment)
    }
    running -= 1; ran += 1; sum += job.data.n
    note()
  }, { connection, concurrency: slots })
  process.on('SIGTERM', async () => { await worker.close(true); process.exit(0) })
}

async function send(mode, task, count) {
  const queue = new Queue('peers', { connection })
  await queue.waitUntilReady()
  const began = now(), sent = {}
  if (mode === 'many') {
    for (let at = 0; at < count; at += 100) {
      const jobs = []
      for (let n = at; n < Math.min(at + 100, count); n++) jobs.push({ name: task, data: { n } })
      await queue.addBulk(jobs)
    }
  } else {
    for (let n = 0; n < count; n++) {
      sent[n] = now()
      await queue.add(task, { n })
      if (mode === 'steady') await sleep(20)
    }
  }
  console.log(JSON.stringify(mode === 'steady' ? { sent } : { seconds: now() - began }))
  await queue.close()
}

const [mode, task, count] = process.argv.slice(2)
await (mode === 'work' ? work() : send(mode, task, Number(count)))
