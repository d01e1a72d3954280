const KINDS = ['boolean', 'list', 'null', 'number', 'object', 'text']

export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const show = (value) => value === undefined ? 'not there' : JSON.stringify(value)

function kind (value) {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'list'
  return typeof value === 'string' ? 'text' : typeof value
}

function matcher (pattern) {
  const names = isObject(pattern) ? Object.keys(pattern) : []
  return names.length > 0 && names.every((name) => name.startsWith('$'))
}

/** Refuses a pattern of which something is not known. */
export function known (pattern) {
  if (Array.isArray(pattern)) return pattern.forEach(known)
  if (!isObject(pattern)) return
  if (matcher(pattern)) return Object.entries(pattern).forEach(([name, told]) => knownMatcher(name, told))
  const wrong = Object.keys(pattern).find((name) => name.startsWith('$'))
  if (wrong !== undefined) throw new Error(`${wrong} stands beside members`)
  Object.values(pattern).forEach(known)
}

function knownMatcher (name, told) {
  if (['$len', '$contains', '$each', '$not'].includes(name)) return known(told)
  if (!Object.hasOwn(TAKES, name)) throw new Error(`there is no matcher ${name}`)
  if (!TAKES[name](told)) throw new Error(`${name} does not take ${show(told)}`)
}

const referred = (told) => typeof told === 'string' && told.startsWith('$')
const number = (told) => typeof told === 'number' || referred(told)

const TAKES = {
  $any: (told) => KINDS.includes(told),
  $gt: number,
  $lt: number,
  $near: (told) => isObject(told) && Object.keys(told).sort().join() === 'by,to' && typeof told.by === 'number',
  $absent: (told) => told === true,
  $nowhere: (told) => typeof told === 'string'
}

/** Where and how a value is not like the pattern; empty when it is. */
export function differences (pattern, value, at = 'answer') {
  if (matcher(pattern)) return Object.entries(pattern).flatMap(([name, told]) => apply(name, told, value, at))
  if (value === undefined) return [`${at}: is not there, should be ${show(pattern)}`]
  if (isObject(pattern) && isObject(value)) {
    return Object.entries(pattern).flatMap(([name, inner]) =>
      differences(inner, Object.hasOwn(value, name) ? value[name] : undefined, `${at}.${name}`))
  }
  if (Array.isArray(pattern) && Array.isArray(value) && pattern.length === value.length) {
    return pattern.flatMap((inner, n) => differences(inner, value[n], `${at}.${n}`))
  }
  return pattern === value ? [] : [`${at}: is ${show(value)}, should be ${show(pattern)}`]
}

function apply (name, told, value, at) {
  const faults = [`${at}: is ${show(value)}, should be ${name} ${show(told)}`]
  if (value === undefined) return name === '$absent' ? [] : faults
  if (name === '$len') {
    const len = Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : undefined
    return differences(told, len, `${at}.$len`)
  }
  if (name === '$each' && Array.isArray(value) && value.length > 0) {
    return value.flatMap((item, n) => differences(told, item, `${at}.${n}`))
  }
  return HOLDS[name]?.(told, value) ? [] : faults
}

const HOLDS = {
  $any: (told, value) => kind(value) === told,
  $gt: (told, value) => typeof value === 'number' && value > told,
  $lt: (told, value) => typeof value === 'number' && value < told,
  $near: ({ to, by }, value) => typeof value === 'number' && Math.abs(value - to) <= by,
  $nowhere: (told, value) => !JSON.stringify(value).includes(told),
  $not: (told, value) => differences(told, value).length > 0,
  $contains: (told, value) => typeof value === 'string'
    ? typeof told === 'string' && value.includes(told)
    : Array.isArray(value) && value.some((item) => differences(told, item).length === 0)
}
