/**
 * What went wrong, and what to do about it. Every error of this package is one.
 */
export class HeadframeError extends Error {
    /**
     * @param {string} message
     * @param {{code?: string, kind?: string, op?: string, sent?: 'no' | 'maybe', retryable?: boolean,
     *   context?: Record<string, string>, cause?: unknown}} [about]
     */
    constructor(message: string, about?: {
        code?: string;
        kind?: string;
        op?: string;
        sent?: "no" | "maybe";
        retryable?: boolean;
        context?: Record<string, string>;
        cause?: unknown;
    });
    /** Stable; MiningOS's where it has one, such as `ERR_ACTION_DECIDED`. */
    code: string;
    /** What to do about it: `Invalid`, `NotFound`, `Conflict`, `Unsupported`, `Unauthenticated`, `Forbidden`,
     * `Unreachable`, `Timeout`, `RateLimited`, `Rejected`, `BadReply`, `Corrupt`, `Closed` or `Internal`. */
    kind: string;
    /** What failed, such as `action.push`. */
    op: string;
    /** Whether a device or store may have what was written all the same: `no` or `maybe`. */
    sent: "no" | "maybe";
    /** Whether the same call may do better later. */
    retryable: boolean;
    /** On which thing, which field, and the like. */
    context: Record<string, string>;
}
/**
 * The members of an object that a caller gave, or none.
 *
 * @template {object} T
 * @param {string} field
 * @param {T | undefined} value
 * @returns {T}
 */
export function given<T extends object>(field: string, value: T | undefined): T;
/**
 * @param {string} field
 * @param {string} why
 * @param {unknown} [cause]
 * @returns {HeadframeError}
 */
export function invalid(field: string, why: string, cause?: unknown): HeadframeError;
/**
 * JSON of what a caller gave. A number that JSON has not is refused: as null it would be taken for one that was not given.
 *
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
export function json(field: string, value: unknown): string;
/**
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
export function now<T>(call: () => T): T;
/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export function raised<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T>;
/**
 * A signal that a caller gave, or none.
 *
 * @param {unknown} signal
 * @returns {AbortSignal | undefined}
 */
export function signalled(signal: unknown): AbortSignal | undefined;
/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
export function text(field: string, value: unknown): string;
/**
 * What a promise of the native part gives, JSON, with errors made ours; rejects as soon as the signal is aborted.
 *
 * @param {Promise<string>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function told(promise: Promise<string>, signal?: AbortSignal): Promise<any>;
/**
 * A whole number of some size.
 *
 * @param {string} field
 * @param {unknown} value
 * @param {number} [most]
 * @returns {number}
 */
export function whole(field: string, value: unknown, most?: number): number;
/**
 * JSON as MiningOS's transport makes it: NaN is null.
 *
 * @param {string} field
 * @param {unknown} value
 * @param {(key: string, value: any) => any} [replacer]
 * @returns {string}
 */
export function written(field: string, value: unknown, replacer?: (key: string, value: any) => any): string;
