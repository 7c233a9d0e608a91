import {fileURLToPath} from 'node:url'
import {defineConfig} from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The pay page's script and stylesheet. They keep their names, because the Go package that renders the page names
// them; the script is one classic file for old phones.
export default defineConfig({
  publicDir: false,
  build: {
    emptyOutDir: false,
    target: 'es2017',
    cssTarget: 'chrome61',
    lib: {entry: here('pay/pay.ts'), formats: ['iife'], name: 'dealpay', fileName: () => 'pay.js', cssFileName: 'pay'},
  },
})
