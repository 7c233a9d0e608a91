import b24ui from '@bitrix24/b24ui-nuxt/vue-plugin'
import {createApp} from 'vue'
import './settings.css'
import Settings from './Settings.vue'
createApp(Settings).use(b24ui).mount('#app')
