export type RackSpec = {
    type: string;
    name: string;
    driver?: string;
    intervalMs?: number;
    deadlineMs?: number;
    tags?: string[];
    allowDuplicateIps?: boolean;
    config?: Record<string, any>;
    pools?: any[];
};
export type SiteConf = {
    racks?: RackSpec[];
    policy?: "safe" | "mos" | Record<string, any>;
    people?: Record<string, string[]>;
    claims?: boolean;
    history?: boolean;
    mosCompatible?: boolean;
    globalConfig?: Record<string, any>;
};
export type Principal = {
    user: string;
    permissions: string[];
    gateway?: boolean;
};
export type Login = {
    driver: string;
    opts?: Record<string, string>;
};
export type ErrorRow = {
    code: string;
    kind: string;
    op: string;
    message: string;
    sent: "no" | "maybe";
    retryable: boolean;
    context: Record<string, string>;
};
export type Query = {
    query?: Record<string, any>;
    fields?: Record<string, any>;
    sort?: Record<string, 1 | -1>;
    offset?: number;
    limit?: number;
    cursor?: string;
    status?: boolean;
};
export type SeriesQuery = {
    things: {
        ids: string[];
    } | {
        tag: string;
    } | {
        query: Record<string, any>;
    };
    metric: string;
    from: number;
    to: number;
    step?: "raw" | "whole" | number | {
        unit: "H" | "D" | "W" | "M";
        count?: number;
        zone?: string;
    };
    over?: "each" | "together";
    aggregate?: "mean" | "sum" | "min" | "max" | "last" | "energy";
    limit?: number;
    intervalMs?: number;
};
export type StatisticsQuery = {
    type: string;
    tag: string;
    key?: "stat-rtd" | "stat-1m" | "stat-5m" | "stat-15m" | "stat-30m" | "stat-3h" | "stat-1D" | "thing-5m";
    start?: number;
    end?: number;
    offset?: number;
    limit?: number;
    fields?: Record<string, 1 | 0>;
    aggrFields?: Record<string, 1 | 0>;
    aggrTimes?: {
        start: number;
        end: number;
    }[];
    groupRange?: string;
    shouldCalculateAvg?: boolean;
};
/**
 * A whole site in this process: racks that collect their things, history, and the action engine, the only way to write
 * to devices.
 */
export class Site {
    /**
     * Opens the site in a folder. A store that is missing or damaged is an error: with `create` a new site is made, with
     * `openOrCreate` where the folder is empty.
     *
     * @param {string} folder
     * @param {SiteConf} conf
     * @param {{how?: 'open' | 'create' | 'openOrCreate', drivers?: import('./driver.js').Driver[]}} [options]
     * @returns {Promise<Site>}
     */
    static open(folder: string, conf: SiteConf, options?: {
        how?: "open" | "create" | "openOrCreate";
        drivers?: import("./driver.js").Driver[];
    }): Promise<Site>;
    /**
     * Writes a backup into an empty folder, after all of it was verified.
     *
     * @param {string} from
     * @param {string} to
     * @returns {Promise<{site: string, taken: number, revision: number, files: number, bytes: number, auditEntries: number,
     *   leftOut: string[]}>}
     */
    static restore(from: string, to: string): Promise<{
        site: string;
        taken: number;
        revision: number;
        files: number;
        bytes: number;
        auditEntries: number;
        leftOut: string[];
    }>;
    /** @param {import('../native.js').NativeSite} native */
    constructor(native: import("../native.js").NativeSite);
    /** Proposes writes, votes on them, and tells what became of them. */
    actions: Actions;
    /** Its id, made when its store was created. */
    get id(): string;
    /**
     * Calls one of MiningOS's methods; `docs/rpc.md` has them.
     *
     * @param {Principal} who
     * @param {string} method
     * @param {any} [params]
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<any>}
     */
    call(who: Principal, method: string, params?: any, options?: {
        signal?: AbortSignal;
    }): Promise<any>;
    /**
     * Registers things in a rack, each judged alone, durable together.
     *
     * @param {string} rack
     * @param {Record<string, any>[]} things
     * @param {string} by who does it
     * @returns {Promise<({thing: any} | {error: ErrorRow})[]>}
     */
    register(rack: string, things: Record<string, any>[], by: string): Promise<({
        thing: any;
    } | {
        error: ErrorRow;
    })[]>;
    /**
     * Scans a range and registers what is recognised, in the first rack whose driver is the device's.
     *
     * @param {string} range
     * @param {string} by who does it
     * @param {{ports?: import('./discover.js').Ports, logins?: Login[], signal?: AbortSignal}} [options]
     * @returns {Promise<{scan: any, registered: any[], known: string[], moved: any[],
     *   refused: {address: string, error: ErrorRow}[]}>}
     */
    find(range: string, by: string, options?: {
        ports?: import("./discover.js").Ports;
        logins?: Login[];
        signal?: AbortSignal;
    }): Promise<{
        scan: any;
        registered: any[];
        known: string[];
        moved: any[];
        refused: {
            address: string;
            error: ErrorRow;
        }[];
    }>;
    /**
     * Lists things of all racks. `next` is the cursor of the next page; racks that failed are named.
     *
     * @param {Query} [query]
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<{items: any[], matched: number, next: string | null, failed: {rack: string, error: ErrorRow}[]}>}
     */
    list(query?: Query, options?: {
        signal?: AbortSignal;
    }): Promise<{
        items: any[];
        matched: number;
        next: string | null;
        failed: {
            rack: string;
            error: ErrorRow;
        }[];
    }>;
    /**
     * All readings of all racks from now on, in batches of those that are there, `most` at a time: as long as a batch is
     * held, so are its snapshots that were read. `capacity` are kept for a reader that is slower; each reading says how many
     * were missed before it.
     *
     * @param {{capacity?: number, most?: number, signal?: AbortSignal}} [options]
     * @returns {AsyncGenerator<import('./readings.js').Reading[], void, void>}
     */
    subscribe(options?: {
        capacity?: number;
        most?: number;
        signal?: AbortSignal;
    }): AsyncGenerator<import("./readings.js").Reading[], void, void>;
    /**
     * One number of things over time: as it was said, or by steps of the clock or of a zone's calendar. What is not known is
     * null, and `coverage` says which part of a step is known.
     *
     * @param {SeriesQuery} query
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<{steps: [number, number][], columns: {thing: string | null, values: (number | null)[],
     *   coverage?: number[], contributors?: number[], ts?: number[]}[], failed: any[], removedBefore: number | null}>}
     */
    series(query: SeriesQuery, options?: {
        signal?: AbortSignal;
    }): Promise<{
        steps: [number, number][];
        columns: {
            thing: string | null;
            values: (number | null)[];
            coverage?: number[];
            contributors?: number[];
            ts?: number[];
        }[];
        failed: any[];
        removedBefore: number | null;
    }>;
    /**
     * Rows of the statistics of all racks of a type, oldest first: what the things with a tag did in each window of time.
     * `docs/statistics.md` has the results by family. Racks that failed are named.
     *
     * @param {StatisticsQuery} query
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<{items: any[], failed: {rackId: string, error: string}[]}>}
     */
    statistics(query: StatisticsQuery, options?: {
        signal?: AbortSignal;
    }): Promise<{
        items: any[];
        failed: {
            rackId: string;
            error: string;
        }[];
    }>;
    /**
     * Copies the site into an empty folder while everything goes on. The site's key is not copied: keep it apart.
     *
     * @param {string} folder
     * @returns {Promise<{site: string, taken: number, revision: number, files: number, bytes: number, samples: number,
     *   leftOut: [string, string][]}>}
     */
    backup(folder: string): Promise<{
        site: string;
        taken: number;
        revision: number;
        files: number;
        bytes: number;
        samples: number;
        leftOut: [string, string][];
    }>;
    /**
     * How the collectors of all racks do, summed up; of latenesses the worst.
     *
     * @returns {{things: number, online: number, offline: number, error: number, stale: number, never: number, slow: number,
     *   inFlight: number, waiting: number, pollsDone: number, pollsFailed: number, pollsLate: number, pollsCut: number,
     *   ticksMissed: number, sinkDropped: number, eventsMissed: number, latenessP50Ms: number, latenessP99Ms: number}}
     */
    counts(): {
        things: number;
        online: number;
        offline: number;
        error: number;
        stale: number;
        never: number;
        slow: number;
        inFlight: number;
        waiting: number;
        pollsDone: number;
        pollsFailed: number;
        pollsLate: number;
        pollsCut: number;
        ticksMissed: number;
        sinkDropped: number;
        eventsMissed: number;
        latenessP50Ms: number;
        latenessP99Ms: number;
    };
    /**
     * Ends it in order: calls of actions and polls under way have `withinMs` to end, and everything collected is durable
     * then. What is called meanwhile ends as closed.
     *
     * @param {{withinMs?: number}} [options]
     * @returns {Promise<{finished: number, aborted: number, undelivered: number, actionsBrokenOff: boolean} | null>}
     */
    close(options?: {
        withinMs?: number;
    }): Promise<{
        finished: number;
        aborted: number;
        undelivered: number;
        actionsBrokenOff: boolean;
    } | null>;
    [Symbol.asyncDispose](): Promise<void>;
    #private;
}
import { Actions } from "./actions.js";
