/** Every linter with its arguments, by the name of its command. */
export const LINTERS = [
  ['biome', 'check', '--error-on-warnings', '.'],
  ['solhint', '--noPoster', '--disc', '--max-warnings', '0', 'contracts/**/*.sol'],
]
