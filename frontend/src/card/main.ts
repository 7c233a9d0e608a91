import {createApp} from 'vue'
import {Api} from '../api'
import {hostOf} from '../host'
import {readState} from '../state'
import {pick, speak} from '../words'
import '../tokens.css'
import './card.css'
import Card from './Card.vue'
import {ahead} from './parts'
import {vocabulary} from '../vocabulary'

async function start() {
  const state = readState()
  const host = hostOf(state)
  const lang = pick(state.lang || host.lang || navigator.language)
  const [{words, more}] = await Promise.all([vocabulary(lang), ...ahead(state.problem ? null : state.card).map(part => part.catch(() => {}))])
  if (state.problem) await more().catch(() => {})
  document.documentElement.lang = lang
  createApp(Card, {state, api: new Api(host, lang), host, say: speak(lang, words), more}).mount('#app')
}

void start()
