import vue from 'eslint-plugin-vue'
import ts from 'typescript-eslint'

export default ts.config(
  {ignores: ['dist', 'node_modules', 'amo', 'src/api.gen.ts', 'auto-imports.d.ts', 'components.d.ts']},
  ...ts.configs.recommended,
  ...vue.configs['flat/recommended'],
  {files: ['**/*.vue'], languageOptions: {parserOptions: {parser: ts.parser}}},
  {
    rules: {
      // Layout is a matter of taste; these rules ask for one attribute a line, which makes templates three times longer.
      'vue/max-attributes-per-line': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/multiline-html-element-content-newline': 'off',
      'vue/html-self-closing': 'off',
      'vue/html-closing-bracket-newline': 'off',
      'vue/html-indent': 'off',
      'vue/first-attribute-linebreak': 'off',
      'vue/multi-word-component-names': 'off',
      'vue/html-closing-bracket-spacing': 'off',
      'vue/require-default-prop': 'off',
      'vue/attributes-order': 'off',
    },
  },
)
