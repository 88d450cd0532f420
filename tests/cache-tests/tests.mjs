import { today } from './since.mjs'

// The tests for a shared cache of the suite in a folder, by group: as they are
// today, or unchanged.
export async function groups (suite, unchanged = false) {
  const all = [...(await import(`${suite}/tests/index.mjs`)).default]
  all.push((await import(`${suite}/tests/surrogate-control.mjs`)).default)
  return (unchanged ? all : today(all))
    .map(group => ({ ...group, tests: group.tests.filter(test => test.browser_only !== true) }))
}
