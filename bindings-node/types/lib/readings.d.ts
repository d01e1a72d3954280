/**
 * What one poll of a thing brought. Its snapshot is read when it is asked for.
 */
export class Reading {
    /**
     * @param {import('../native.js').NativeBatch} batch
     * @param {number} at
     */
    constructor(batch: import("../native.js").NativeBatch, at: number);
    /** Whose it is. */
    get thing(): string;
    /** When the poll ended, ms since 1970. */
    get ts(): number;
    /** How many readings this reader missed right before it, because it was too slow. */
    get missed(): number;
    /**
     * Its number among those of the thing, how the thing stood, how long the poll took, and the error when it failed.
     *
     * @returns {{seq: number, link: string, tookMs: number, error: import('./site.js').ErrorRow | null}}
     */
    get about(): {
        seq: number;
        link: string;
        tookMs: number;
        error: import("./site.js").ErrorRow | null;
    };
    /**
     * The snapshot, under MiningOS's keys. What is not known is absent, and `missing` says why.
     *
     * @returns {any}
     */
    get snapshot(): any;
    toJSON(): {
        snapshot: any;
        seq: number;
        link: string;
        tookMs: number;
        error: import("./site.js").ErrorRow | null;
        thing: string;
        ts: number;
        missed: number;
    };
    #private;
}
/**
 * @param {import('../native.js').NativeReadings} reader
 * @param {number} most
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<Reading[], void, void>}
 */
export function readings(reader: import("../native.js").NativeReadings, most: number, signal?: AbortSignal): AsyncGenerator<Reading[], void, void>;
