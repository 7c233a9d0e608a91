import type {Lang, Words} from './words'

// Each language is two files of its own: what the card shows at once, and what stands behind an invoice. The card is
// small because nobody loads five languages, nor what they do not open.
const first = import.meta.glob<{default: Words}>(['./words/*.json', '!./words/*.more.json'])
const rest = import.meta.glob<{default: Words}>('./words/*.more.json')

/** vocabulary returns the words of a language, and a function that adds the rest of them. */
export async function vocabulary(lang: Lang): Promise<{words: Words; more: () => Promise<void>}> {
  const words = {...(await first[`./words/${lang}.json`]?.())?.default}
  let loading: Promise<void> | undefined
  const load = async () => { Object.assign(words, (await rest[`./words/${lang}.more.json`]?.())?.default) }
  return {words, more: () => (loading ??= load().catch(error => {
    loading = undefined
    throw error
  }))}
}
