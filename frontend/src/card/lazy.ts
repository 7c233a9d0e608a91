import {defineComponent, h, inject, onBeforeUnmount, shallowRef, type Component} from 'vue'
import {deskKey} from './desk'

/**
 * lazy is a component that comes in a file of its own, and unless words is false with the words of what stands behind an
 * invoice; nothing is shown until both are there, and a net that fails only costs time.
 */
export function lazy<T extends Component>(load: () => Promise<{default: T}>, words = true): T {
  const lazily = defineComponent({
    inheritAttrs: false,
    setup(_, {attrs}) {
      const desk = inject(deskKey)
      const loaded = shallowRef<Component>()
      let again: ReturnType<typeof setTimeout> | undefined
      const fetch = () => Promise.all([load(), words ? desk?.more() : null]).then(([module]) => { loaded.value = module.default }, () => {
        desk?.lost()
        again = setTimeout(fetch, 3_000)
      })
      void fetch()
      onBeforeUnmount(() => clearTimeout(again))
      return () => (loaded.value ? h(loaded.value, attrs) : null)
    },
  })
  return lazily as unknown as T
}
