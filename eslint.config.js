// Lints the page's modules and their tests. Types are checked by tsc (tsconfig.json); layout is by hand.
import js from "@eslint/js"
import globals from "globals"

export default [
  { ignores: [".venv/", "var/", "node_modules/", "build/", "dist/", "**/admin/"] },
  js.configs.recommended,
  {
    files: ["chat/static/**/*.js", "tests/js/**/*.js", "torture/page/**/*.js"],
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "eqeqeq": "error",
      "no-console": "error",
      "no-implicit-globals": "error",
      "no-promise-executor-return": "off",
      "no-self-compare": "error",
      "no-template-curly-in-string": "error",
      "no-unreachable-loop": "error",
      "no-unused-private-class-members": "error",
      "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
      "no-useless-assignment": "error",
      "no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_", destructuredArrayIgnorePattern: "^_" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "semi": ["error", "never"],
    },
  },
]
