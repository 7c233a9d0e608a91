/** The languages people can read us in. */
export const langs = ['hy', 'ru', 'en', 'es', 'pt'] as const
export type Lang = typeof langs[number]

/** A word, or its forms by the plural categories of the language. */
export type Word = string | Partial<Record<Intl.LDMLPluralRule, string>>
export type Words = Record<string, Word>
export type Values = Record<string, string | number>

/** Say writes the word of a key with its values filled in. */
export type Say = ((key: string, values?: Values) => string) & {has: (key: string) => boolean; lang: Lang}

/** pick returns the language to speak for a wish like "ru", "pt-BR" or nothing. */
export function pick(wish: string): Lang {
  const base = wish.toLowerCase().split(/[-_]/)[0] ?? ''
  return langs.find(l => l === base) ?? 'en'
}

/** speak makes a Say of a language's words. A value called n chooses the plural form; an unknown key is shown as it is. */
export function speak(lang: Lang, words: Words): Say {
  const plural = new Intl.PluralRules(lang)
  const say = (key: string, values: Values = {}) => {
    let word = words[key] ?? key
    if (typeof word !== 'string') word = word[plural.select(Number(values.n))] ?? word.other ?? key
    return word.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
  }
  return Object.assign(say, {has: (key: string) => key in words, lang})
}
