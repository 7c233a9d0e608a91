import type {Card} from '../state'
import {nextOf} from './invoice'
import {lazy} from './lazy'

// The parts of the card that are not in its first file: of the next action only the one that this deal needs is fetched.
const files = {
  create: () => import('./Create.vue'),
  send: () => import('./Send.vue'),
  needs: () => import('./Needs.vue'),
  renew: () => import('./Renew.vue'),
}
export const Create = lazy(files.create, false)
export const Send = lazy(files.send, false)
export const Needs = lazy(files.needs)
export const Renew = lazy(files.renew)
export const Actions = lazy(() => import('./Actions.vue'))
export const Clocks = lazy(() => import('./Clocks.vue'))
export const Details = lazy(() => import('./Details.vue'))
export const NotReady = lazy(() => import('./NotReady.vue'))
export const Edit = lazy(() => import('./Edit.vue'))
export const Plan = lazy(() => import('./Plan.vue'))
export const Channels = lazy(() => import('./Channels.vue'))

/** ahead fetches what this card shows at once, beside its words and not after them. */
export function ahead(card: Card | null): Promise<unknown>[] {
  if (!card) { // not known yet which; by the time it is, they are here
    for (const file of [files.create, files.send]) file().catch(() => {})
    return []
  }
  const {invoices, exceptions} = card.deal
  return [...(exceptions.length > 0 ? [files.needs()] : []), nextOf(invoices) ? files.send() : files.create()]
}
