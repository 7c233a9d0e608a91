/** readable is the text that can be read on a colour, and false for what is no colour; the pay page does the same. */
export function readable(accent: string): string | false {
  if (!/^#[0-9a-f]{6}$/i.test(accent)) return false
  const weights = [0.2126, 0.7152, 0.0722]
  const luminance = weights.reduce((sum, weight, i) => {
    const c = parseInt(accent.slice(1 + 2 * i, 3 + 2 * i), 16) / 255
    return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  }, 0)
  return 1.05 / (luminance + 0.05) >= 4.5 ? '#ffffff' : '#000000'
}
