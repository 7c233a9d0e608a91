import {fileURLToPath} from 'node:url'
import vue from '@vitejs/plugin-vue'
import {defineConfig} from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The card and settings pages. The Go server serves dist under /assets/ and the two HTML files on its own routes.
export default defineConfig({
  base: '/assets/',
  plugins: [vue()],
  define: {__VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false'},
  build: {
    assetsDir: '',
    emptyOutDir: true,
    modulePreload: false,
    target: 'es2022',
    assetsInlineLimit: 0,
    rollupOptions: {input: {card: here('card.html')}},
  },
})
