// All browser tests, one after the other, on one demo. Takes the demo's ready file.
import {spawnSync} from 'node:child_process'
import {fileURLToPath} from 'node:url'

const failed = ['smoke.mjs', 'people.mjs', 'settings.mjs'].filter(name =>
  spawnSync(process.execPath, [fileURLToPath(new URL(name, import.meta.url)), process.argv[2]], {stdio: 'inherit'}).status !== 0)
process.exit(failed.length > 0 ? 1 : 0)
