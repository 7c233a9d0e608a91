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
  zone: () => string
  /** word is the word of a key, or the fallback when there is none. */
  word: (key: string, fallback: string) => string
  /** who words an actor, or the role that a thing waits for. */
  who: (actor: string, name?: string) => string
  /** pay is how money is taken and given back; undefined until loadPay has run. */
  pay: ShallowRef<Schemas['PaymentSettings'] | undefined>
  loadPay: () => Promise<void>
  /** keepPay saves the payment settings, the given ones changed. */
  keepPay: (changes: Partial<Schemas['PaymentSettings']>) => Promise<void>
  /** people have opened Dealpay in this CRM; empty until loadPeople has run. */
  people: ShallowRef<Schemas['Person'][]>
  loadPeople: () => Promise<void>
  /** keep saves all settings of the tenant, the given ones changed. */
  keep: (changes: Partial<Schemas['Settings']>) => Promise<void>
  /** long are the actions by their names that go on when their section is left. */
  long: Map<string, Action>
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
  const pay = shallowRef<Schemas['PaymentSettings']>()
  const people = shallowRef<Schemas['Person'][]>([])
  const loadPay = async () => { pay.value = await api.get('/settings/payments') }
  return {
    api, host, say, view, pay, people, loadPay, long: new Map(),
    zone: () => zone.value,
    who: (name, known = '') => {
      const id = name.replace(/^\w+:/, '')
      if (known) return known
      if (name.startsWith('user:')) return people.value.find(p => p.id === id)?.name || say('actor.user', {id})
      if (name.startsWith('key:')) return `${say('actor.key')} ${id}`
      return say.has('role.' + name) ? say('role.' + name) : say.has('actor.' + name) ? say('actor.' + name) : name
    },
    loadPeople: async () => { people.value = (await api.get<Schemas['PersonPage']>('/people')).items },
    keepPay: async changes => {
      await loadPay() // another part of the page, or another administrator, may have saved meanwhile
      pay.value = await api.put('/settings/payments', {...pay.value, ...changes})
    },
    when: iso => (iso ? when(iso, {lang: say.lang, zone: zone.value}, new Date()) : ''),
    word: (key, fallback) => (say.has(key) ? say(key) : fallback),
    keep: async changes => {
      const settings = await api.put<Schemas['Settings']>('/settings', {...view.value.settings, ...changes})
      view.value = {...view.value, settings}
    },
  }
}

/** Action is one thing done at a time, how far it is where that is known, and what went wrong and what went well, in words. */
export interface Action { busy: Ref<boolean>; far: Ref<number>; trouble: Ref<Trouble | null>; done: Ref<string>; run: (action: () => Promise<string | void>) => Promise<void> }

/** useLong is useAction for what may take long: it goes on when its section is left, and is found again by its name. */
export function useLong(office: Office, name: string): Action {
  const action = office.long.get(name) ?? useAction(office)
  office.long.set(name, action)
  return action
}

/** useAction runs an action; what it returns is shown as done. */
export function useAction(office: Office): Action {
  const busy = ref(false)
  const far = ref(0)
  const trouble = ref<Trouble | null>(null)
  const done = ref('')
  const run = async (action: () => Promise<string | void>) => {
    if (busy.value) return
    busy.value = true
    far.value = 0
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
  return {busy, far, trouble, done, run}
}

/** useList reads a list page by page. */
export function useList<T>(office: Office, address: string | (() => string)) {
  const items = shallowRef<T[]>([])
  const next = ref<string | null>(null)
  const loaded = ref(false)
  const {busy, trouble, run} = useAction(office)
  const read = (after = '') => run(async () => {
    const path = typeof address === 'string' ? address : address()
    const page = await office.api.get<{items: T[]; next: string | null}>(after ? `${path}${path.includes('?') ? '&' : '?'}after=${encodeURIComponent(after)}` : path)
    items.value = after ? [...items.value, ...page.items] : page.items
    next.value = page.next
    loaded.value = true
  })
  return {items, next, loaded, busy, trouble, read}
}
