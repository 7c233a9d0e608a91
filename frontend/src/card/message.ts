import {ref} from 'vue'
import type {Invoice, Schemas} from '../state'
import type {Desk} from './desk'

/** Message is the text that carries an invoice's link, by the tenant's template in one language. */
export type Message = ReturnType<typeof useMessage>

/** useMessage reads the message before it is needed: copying must happen within the reader's click. */
export function useMessage(desk: Desk, invoice: () => Invoice) {
  const language = ref(desk.card.value?.language || desk.say.lang)
  const subject = ref('')
  const text = ref('')
  let last = 0
  /** read fetches the message and returns its text; with must it throws what went wrong. */
  const read = async (must = false): Promise<string> => {
    const mine = ++last
    text.value = ''
    try {
      const said = await desk.api.get<Schemas['Message']>(`/invoices/${invoice().id}/message?language=${language.value}`)
      if (mine === last) {
        subject.value = said.subject
        text.value = said.text
      }
      return said.text
    } catch (thrown) {
      if (must) throw thrown
      return ''
    }
  }
  return {language, subject, text, read}
}
