import type {SettingsView} from '../src/state'

export const settings: SettingsView
export const answers: Record<string, unknown>
