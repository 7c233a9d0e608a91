import {defineComponent, h, inject, shallowRef, type Component} from 'vue'
import {deskKey} from './desk'

/**
 * lazy is a component that comes in a file of its own, and unless words is false with the words of what stands behind an
 * invoice; nothing is shown until both are there.
 */
export function lazy<T extends Component>(load: () => Promise<{default: T}>, words = true): T {
  const lazily = defineComponent({
    inheritAttrs: false,
    setup(_, {attrs}) {
      const desk = inject(deskKey)
      const loaded = shallowRef<Component>()
      void Promise.all([load(), words ? desk?.more() : null]).then(([module]) => { loaded.value = module.default }).catch(() => desk?.lost())
      return () => (loaded.value ? h(loaded.value, attrs) : null)
    },
  })
  return lazily as unknown as T
}
