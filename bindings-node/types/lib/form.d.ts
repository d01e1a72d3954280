/**
 * How a snapshot is made of a list of values: an object or a list of such plans, or the place of a value.
 */
export type Plan = {
    names: string[] | null;
    of: Plan[];
} | number;
/**
 * What the native part gave in parts: the number of a form and all values, or null and all.
 *
 * @param {string} parted
 * @returns {any}
 */
export function joined(parted: string): any;
/**
 * @param {object | number} form
 * @returns {Plan}
 */
export function planned(form: object | number): Plan;
/**
 * @param {Plan} plan
 * @param {unknown[]} values
 * @returns {unknown}
 */
export function filled(plan: Plan, values: unknown[]): unknown;
