import {computed, inject, ref, shallowRef, type InjectionKey, type Ref, type ShallowRef} from 'vue'
import type {Api} from '../api'
import type {Host} from '../host'
import type {Schemas, SettingsView} from '../state'
import {usableZone, when} from '../when'
import {wording, type Trouble} from '../wording'
import type {Say} from '../words'

/** Office is what every section of the settings works with. */
export interface Office {
  api: Api
  host: Host
  say: Say
  view: ShallowRef<SettingsView>
  when: (iso: string | null | undefined) => string
  /** word is the word of a key, or the fallback when there is none. */
  word: (key: string, fallback: string) => string
  /** keep saves all settings of the tenant, the given ones changed. */
  keep: (changes: Partial<Schemas['Settings']>) => Promise<void>
}

export const officeKey: InjectionKey<Office> = Symbol('office')

/** useOffice returns the office around a section. */
export function useOffice(): Office {
  const office = inject(officeKey)
  if (!office) throw new Error('a section stands outside the settings')
  return office
}

/** makeOffice wires an office around what the settings page starts with. */
export function makeOffice(api: Api, host: Host, say: Say, first: SettingsView): Office {
  const view = shallowRef(first)
  const zone = computed(() => usableZone(view.value.settings.time_zone))
  return {
    api, host, say, view,
    when: iso => (iso ? when(iso, {lang: say.lang, zone: zone.value}, new Date()) : ''),
    word: (key, fallback) => (say.has(key) ? say(key) : fallback),
    keep: async changes => {
      const settings = await api.put<Schemas['Settings']>('/settings', {...view.value.settings, ...changes})
      view.value = {...view.value, settings}
    },
  }
}

/** Action is one thing done at a time, with what went wrong and what went well, in words. */
export interface Action { busy: Ref<boolean>; trouble: Ref<Trouble | null>; done: Ref<string>; run: (action: () => Promise<string | void>) => Promise<void> }

/** useAction runs an action; what it returns is shown as done. */
export function useAction(office: Office): Action {
  const busy = ref(false)
  const trouble = ref<Trouble | null>(null)
  const done = ref('')
  const run = async (action: () => Promise<string | void>) => {
    if (busy.value) return
    busy.value = true
    trouble.value = null
    done.value = ''
    try {
      done.value = (await action()) || ''
    } catch (thrown) {
      trouble.value = wording(thrown, office.say)
    } finally {
      busy.value = false
    }
  }
  return {busy, trouble, done, run}
}

/** useList reads a list page by page. */
export function useList<T>(office: Office, path: string) {
  const items = shallowRef<T[]>([])
  const next = ref<string | null>(null)
  const loaded = ref(false)
  const {busy, trouble, run} = useAction(office)
  const read = (after = '') => run(async () => {
    const page = await office.api.get<{items: T[]; next: string | null}>(after ? `${path}?after=${encodeURIComponent(after)}` : path)
    items.value = after ? [...items.value, ...page.items] : page.items
    next.value = page.next
    loaded.value = true
  })
  return {items, next, loaded, busy, trouble, read}
}
