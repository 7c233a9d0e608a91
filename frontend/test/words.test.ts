import {readdirSync, readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {fromField, toField, when} from '../src/when'
import {langs, pick, speak, type Words} from '../src/words'

const folders = ['src/words', 'src/settings/words']
const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Words
const values = (word: Words[string] | undefined) => [...new Set(JSON.stringify(word).match(/\{\w+\}/g) ?? [])].sort()

test.each(folders)('%s: every language has every word, with the same values', folder => {
  for (const file of readdirSync(folder).filter(name => name.startsWith('en'))) {
    const english = read(`${folder}/${file}`)
    for (const lang of langs) {
      const words = read(`${folder}/${file.replace('en', lang)}`)
      expect(Object.keys(words).sort(), `${lang} ${file}`).toEqual(Object.keys(english).sort())
      for (const [key, word] of Object.entries(words)) {
        expect(values(word), `${lang} ${key}`).toEqual(values(english[key]))
        if (typeof word === 'string') expect(word, `${lang} ${key}`).not.toBe('')
        else expect(Object.keys(word), `${lang} ${key}`).toEqual(expect.arrayContaining(new Intl.PluralRules(lang).resolvedOptions().pluralCategories))
      }
    }
  }
})

test('plural forms follow the language', () => {
  const say = speak('ru', read('src/words/ru.json'))
  expect([1, 2, 5, 21].map(n => say('invoices', {n}))).toEqual(['1 счёт', '2 счёта', '5 счетов', '21 счёт'])
})

test('languages are picked by their first part', () => {
  expect(['ru', 'pt-BR', 'hy_AM', 'de', ''].map(pick)).toEqual(['ru', 'pt', 'hy', 'en', 'en'])
})

test('times are the tenant\'s, and only as long as needed', () => {
  const clock = {lang: 'en', zone: 'Asia/Yerevan'}
  const now = new Date('2025-03-10T08:05:00Z')
  expect(when('2025-03-10T08:04:00Z', clock, now)).toBe('12:04')
  expect(when('2025-03-09T19:59:00Z', clock, now)).toBe('Mar 9, 23:59')
  expect(when('2024-03-09T20:00:00Z', clock, now)).toMatch(/Mar 10, 2024/)
  expect(when('2024-03-09T20:00:00Z', {...clock, lang: 'hy'}, now)).toBe('10 մրտ 2024, 00:00')
  expect(when('nonsense', clock, now)).toBe('')
})

test.each(['Asia/Yerevan', 'America/New_York', 'UTC', 'Asia/Kolkata'])('a field in %s gives back the moment it was filled with', zone => {
  for (const iso of ['2025-03-09T06:59:00Z', '2025-03-09T07:01:00Z', '2025-11-02T12:00:00Z', '2025-07-01T00:00:00Z']) {
    expect(fromField(toField(iso, zone), zone)).toBe(iso)
  }
  expect(fromField('', zone)).toBe('')
})
