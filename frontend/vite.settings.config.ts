import {fileURLToPath} from 'node:url'
import b24ui from '@bitrix24/b24ui-nuxt/vite'
import vue from '@vitejs/plugin-vue'
import {defineConfig} from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The settings page, with Bitrix24's own kit. It has a build of its own, so that nothing of the kit reaches the card. The
// kit's colour mode is left out: it keeps a choice in localStorage, which browsers refuse to a frame of somebody else's page.
export default defineConfig({
  base: '/assets/',
  publicDir: false,
  plugins: [vue(), b24ui({router: false, dts: false, colorMode: false})],
  build: {
    assetsDir: '',
    emptyOutDir: false,
    modulePreload: false,
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000, // an administrator opens it twice
    rollupOptions: {input: {settings: here('settings.html')}, output: {chunkFileNames: 'settings-[name]-[hash].js'}},
  },
})
