import {expect, test} from 'vitest'
import {readable} from '../src/settings/colour'
import {choices, moved, nowhere, put, there, type Value} from '../src/settings/fields'
import {changes, known, statuses, wins} from '../src/settings/stages'

const stage = (id: string, kind: 'open' | 'won' | 'lost') => ({id, name: `stage ${id}`, kind})
const sales = {id: 'p', name: 'Sales', stages: [stage('a', 'open'), stage('b', 'open'), stage('w', 'won'), stage('l', 'lost')]}

test('only a status under which the money came may win a deal', () => {
  expect(statuses.filter(s => !wins(sales, s, 'w'))).toEqual(['paid', 'partially_refunded', 'refunded'])
  expect(statuses.filter(s => wins(sales, s, 'a') || wins(sales, s, 'l'))).toEqual([])
})

test('saving says what changes, by the names of the CRM', () => {
  expect(changes({p: {paid: 'w', expired: 'a'}}, {p: {paid: 'w', expired: 'b', awaiting_payment: 'a'}}, [sales])).toEqual([
    {pipeline: 'Sales', status: 'awaiting_payment', from: '', to: 'stage a'}, {pipeline: 'Sales', status: 'expired', from: 'stage a', to: 'stage b'},
  ])
  expect(changes({p: {paid: 'w'}}, {}, [sales])).toEqual([{pipeline: 'Sales', status: 'paid', from: 'stage w', to: ''}])
})

test('lines that name what the CRM no longer has are dropped', () => {
  expect(known({p: {paid: 'w', expired: 'gone'}, gone: {paid: 'x'}, q: {}}, [sales])).toEqual({p: {paid: 'w'}})
})

test('a value goes to one field, and what says nothing is not kept', () => {
  const own = (id: string, ...fits: Value[]) => ({id, name: `field ${id}`, type: 'text' as const, writable: true, fits})
  const fields = [own('t', 'status', 'reference'), own('s', 'status', 'reference'), own('m', 'paid')]
  let chosen = put(put({}, 'p', 'status', 't'), 'p', 'link', nowhere)
  expect(chosen).toEqual({p: {status: 't', link: nowhere}})
  expect(choices(chosen.p, 'reference', fields).map(f => f.id)).toEqual(['s'])
  expect(choices(chosen.p, 'status', fields).map(f => f.id)).toEqual(['t', 's'])
  expect(choices(undefined, 'paid_at', fields)).toEqual([])
  expect(moved({}, chosen, [sales])).toEqual([{pipeline: 'Sales', value: 'status', from: '', to: 't'}, {pipeline: 'Sales', value: 'link', from: '', to: nowhere}])
  expect(there({...chosen, gone: {status: 't'}}, [sales], fields.slice(1))).toEqual({p: {link: nowhere}})
  chosen = put(put(chosen, 'p', 'status', ''), 'p', 'link', '')
  expect([chosen, moved({}, chosen, [sales])]).toEqual([{}, []])
})

test('the text on a colour is the one that can be read', () => {
  expect([readable('#1a5fd0'), readable('#ffcc00'), readable('#FFFFFF'), readable('red'), readable('')]).toEqual(['#ffffff', '#000000', '#000000', false, false])
})
