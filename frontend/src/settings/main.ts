import b24ui from '@bitrix24/b24ui-nuxt/vue-plugin'
import {createApp} from 'vue'
import {Api} from '../api'
import {hostOf} from '../host'
import {readState} from '../state'
import {vocabulary} from '../vocabulary'
import {pick, speak, type Words} from '../words'
import '../tokens.css'
import './settings.css'
import Settings from './Settings.vue'

const own = import.meta.glob<{default: Words}>('./words/*.json')

/** dress follows the reader's colour scheme, by the class that the kit goes by. */
function dress() {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const follow = () => { document.documentElement.classList.toggle('dark', dark.matches) }
  follow()
  dark.addEventListener('change', follow)
}

async function start() {
  dress()
  const state = {...readState(), page: 'settings' as const}
  const host = hostOf(state)
  const lang = pick(state.lang || host.lang || navigator.language)
  const [{words, more}, settings, books] = await Promise.all([vocabulary(lang), own[`./words/${lang}.json`]?.(), own[`./words/${lang}.books.json`]?.()])
  await more()
  Object.assign(words, settings?.default, books?.default)
  document.documentElement.lang = lang
  createApp(Settings, {state, api: new Api(host, lang), host, say: speak(lang, words)}).use(b24ui).mount('#app')
}

void start()
