import { isObject, known } from './pattern.mjs'

const CASE = ['name', 'needs', 'devices', 'site', 'steps']
const STEP = ['do', 'with', 'as', 'expect', 'error']

/** Refuses a case that a runner could not take at its word. */
export function check (told, vocabulary) {
  only(told, CASE)
  const need = (told.needs ?? []).find((need) => !Object.hasOwn(vocabulary.needs, need))
  if (need !== undefined) throw new Error(`nobody knows what it needs: ${need}`)
  if (typeof told.name !== 'string') throw new Error('it has no name')
  if (!Array.isArray(told.steps) || told.steps.length === 0) throw new Error('it has no steps')
  for (const [at, step] of told.steps.entries()) {
    within(`step ${at + 1} (${step.do})`, () => checkStep(step, vocabulary))
  }
}

function checkStep (step, { verbs }) {
  only(step, STEP)
  if (!Object.hasOwn(verbs, step.do)) throw new Error('there is no such verb')
  const takes = verbs[step.do].takes
  const given = Object.keys(step.with ?? {})
  const more = given.find((name) => !takes.includes(name) && !takes.includes(`${name}?`))
  if (more !== undefined) throw new Error(`the verb does not take ${more}`)
  const lacks = takes.find((name) => !name.endsWith('?') && !given.includes(name))
  if (lacks !== undefined) throw new Error(`the verb needs ${lacks}`)
  if ('error' in step && ('expect' in step || 'as' in step)) throw new Error('an error is neither an answer nor saved')
  if ('expect' in step) known(step.expect)
  if ('error' in step) known(step.error)
}

/** Refuses members that nobody knows. */
export function only (told, names) {
  if (!isObject(told)) throw new Error(`${JSON.stringify(told)} is no object`)
  const more = Object.keys(told).find((name) => !names.includes(name))
  if (more !== undefined) throw new Error(`unknown member ${more}`)
}

/** Says of an error where it was. */
export function within (where, work) {
  try {
    return work()
  } catch (e) {
    throw new Error(`${where}: ${e.message}`, { cause: e })
  }
}

/**
 * A value of a case with everything in place that its texts stand for: `$name.path` what was saved, `{word}` one of
 * `words`.
 */
export function resolve (told, saved, words) {
  if (typeof told === 'string') {
    if (told.startsWith('$$')) return told.slice(1)
    if (told.startsWith('$')) return look(told.slice(1), saved)
    return Object.entries(words).reduce((text, [word, is]) => text.replaceAll(`{${word}}`, is), told)
  }
  if (Array.isArray(told)) return told.map((item) => resolve(item, saved, words))
  if (!isObject(told)) return told
  return Object.fromEntries(Object.entries(told).map(([name, value]) => [name, resolve(value, saved, words)]))
}

function look (path, saved) {
  let found = saved
  for (const part of path.split('.')) {
    if (found === null || typeof found !== 'object' || !Object.hasOwn(found, part)) throw new Error(`there is no $${path}`)
    found = found[part]
  }
  return found
}
