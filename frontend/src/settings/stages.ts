import type {Schemas} from '../state'

/** Which stage a status moves a deal to: pipeline → status → stage. */
export type Stages = Schemas['Settings']['stages']
export type Pipeline = Schemas['Pipeline']

/** The statuses a deal can show, in the order people meet them. */
export const statuses: Schemas['Status'][] = ['awaiting_payment', 'paid', 'payment_failed', 'expired', 'cancelled', 'manual_review', 'partially_refunded', 'refunded', 'disputed']

// Only under these has the money come, so only these may win a deal.
const mayWin = new Set<string>(['paid', 'partially_refunded', 'refunded'])

/** wins says whether a line would win a deal that is not paid; the server refuses it too. */
export function wins(pipeline: Pipeline, status: string, stage: string): boolean {
  return !mayWin.has(status) && pipeline.stages.some(s => s.id === stage && s.kind === 'won')
}

/** known keeps the lines whose pipeline and stage the CRM still has; the server refuses the others. */
export function known(stages: Stages, pipelines: Pipeline[]): Stages {
  const kept: Stages = {}
  for (const pipeline of pipelines) {
    const lines = Object.entries(stages[pipeline.id] ?? {}).filter(([, stage]) => pipeline.stages.some(s => s.id === stage))
    if (lines.length > 0) kept[pipeline.id] = Object.fromEntries(lines)
  }
  return kept
}

/** One changed line of the mapping, by the names of the CRM; an empty stage means that deals are not moved. */
export interface Change { pipeline: string; status: string; from: string; to: string }

/** changes lists what saving would change. */
export function changes(before: Stages, after: Stages, pipelines: Pipeline[]): Change[] {
  const list: Change[] = []
  for (const pipeline of pipelines) {
    const name = (id: string | undefined) => pipeline.stages.find(s => s.id === id)?.name ?? ''
    for (const status of statuses) {
      const from = before[pipeline.id]?.[status]
      const to = after[pipeline.id]?.[status]
      if ((from || '') !== (to || '')) list.push({pipeline: pipeline.name, status, from: name(from), to: name(to)})
    }
  }
  return list
}
