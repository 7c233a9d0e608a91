/**
 * copy puts text on the clipboard and says whether it could. Inside another product's frame the modern way is often
 * not allowed, so the old one is tried too; both need the reader's click.
 */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return old(text)
  }
}

function old(text: string): boolean {
  const box = document.createElement('textarea')
  box.value = text
  box.className = 'off-screen'
  document.body.append(box)
  const focused = document.activeElement as HTMLElement | null
  box.select()
  try {
    return document.execCommand('copy')
  } catch {
    return false
  } finally {
    box.remove()
    focused?.focus()
  }
}
