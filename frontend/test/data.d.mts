import type {Card, Exception, Invoice, Money, Schemas} from '../src/state'

export const now: string
export const amd: (minor: number) => Money
export const invoice: (changes?: Partial<Invoice>) => Invoice
export const sent: (changes?: Partial<Invoice>) => Invoice
export const paid: (changes?: Partial<Invoice>) => Invoice
export const exception: (changes?: Partial<Exception>) => Exception
export const card: (deal?: Partial<Schemas['Deal']>, changes?: Partial<Card>) => Card
export const message: Schemas['Message']
export const history: Schemas['AuditPage']
export const cards: Record<string, Card>
