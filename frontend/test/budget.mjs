// Fails when the card or the pay page ships more JavaScript than an old phone or a slow net should get. The card counts
// with everything it needs for its first screen, in its largest language.
import {readFileSync, readdirSync} from 'node:fs'
import {gzipSync} from 'node:zlib'

const limit = 40_000
const dist = new URL('../dist/', import.meta.url)
const files = readdirSync(dist)
const size = name => gzipSync(readFileSync(new URL(name, dist)), {level: 9}).length
const entry = page => readFileSync(new URL(`${page}.html`, dist), 'utf8').match(/src="\/assets\/([^"]+\.js)"/)[1]

// withImports lists a file and what it imports at once.
function withImports(name, seen = new Set()) {
  if (seen.has(name)) return seen
  seen.add(name)
  const source = readFileSync(new URL(name, dist), 'utf8')
  for (const [, other] of source.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) withImports(other, seen)
  return seen
}

const sum = names => [...names].reduce((total, name) => total + size(name), 0)
const languages = files.filter(name => /^(hy|ru|en|es|pt)-[\w-]+\.js$/.test(name))
// Of the next action only the one that a deal needs is fetched.
const first = withImports(entry('card'))
const part = name => withImports(files.find(file => file.startsWith(name + '-') && file.endsWith('.js')))
const next = Math.max(...['Create', 'Send'].map(name => sum([...part(name)].filter(file => !first.has(file)))))
const card = sum(first) + next + Math.max(...languages.map(size))
const pay = size('pay.js')
for (const [name, bytes] of Object.entries({card, pay})) console.log(`${name}: ${bytes} of ${limit} bytes of gzipped JavaScript`)
if (card > limit || pay > limit) process.exit(1)
