import {createApp} from 'vue'
import {Api} from '../api'
import {hostOf} from '../host'
import {readState} from '../state'
import {pick, speak, type Lang, type Words} from '../words'
import '../tokens.css'
import './card.css'
import Card from './Card.vue'

// Each language is a file of its own: the card is small because nobody loads five of them.
const files: Record<Lang, () => Promise<{default: Words}>> = {
  hy: () => import('../words/hy.json'),
  en: () => import('../words/en.json'),
  ru: () => import('../words/ru.json'),
  es: () => import('../words/es.json'),
  pt: () => import('../words/pt.json'),
}

async function start() {
  const state = readState()
  const host = hostOf(state)
  const lang = pick(state.lang || host.lang || navigator.language)
  const words = (await files[lang]()).default
  document.documentElement.lang = lang
  const say = speak(lang, words)
  createApp(Card, {state, api: new Api(host, lang), host, say}).mount('#app')
  setTimeout(() => {
    void import('./Details.vue')
    void import('./Actions.vue')
  }, 1500)
}

void start()
