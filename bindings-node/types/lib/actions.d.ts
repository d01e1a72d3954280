export type Draft = {
    action: string;
    params?: any[];
    query: Record<string, any>;
    rackType?: string;
    clientKey?: string;
    why?: string;
};
export type Ballot = {
    approve: boolean;
    digest?: string;
    clientKey?: string;
    why?: string;
};
export type Watched = {
    id: number;
    action: string;
    status: string;
    counts: Record<string, number>;
    rev: number;
} | {
    missed: number;
};
/**
 * @typedef {{action: string, params?: any[], query: Record<string, any>, rackType?: string, clientKey?: string,
 *   why?: string}} Draft
 * @typedef {{approve: boolean, digest?: string, clientKey?: string, why?: string}} Ballot
 * @typedef {{id: number, action: string, status: string, counts: Record<string, number>, rev: number}
 *   | {missed: number}} Watched
 */
/**
 * Writes that people propose and approve; each is carried out at most once on each thing.
 */
export class Actions {
    /** @param {import('../native.js').NativeSite} native */
    constructor(native: import("../native.js").NativeSite);
    /**
     * Proposes a write on the things that match a query. `id` is null when nothing matches, and `errors` names what fell
     * out.
     *
     * @param {Draft} draft
     * @param {string} by who proposes it
     * @returns {Promise<{id: number | null, errors: string[]}>}
     */
    push(draft: Draft, by: string): Promise<{
        id: number | null;
        errors: string[];
    }>;
    /**
     * What a push would do now: the things that it would touch, the power that they draw, and who has to approve it. Nothing
     * is stored.
     *
     * @param {Draft} draft
     * @param {string} by who would propose it
     * @returns {Promise<{targets: Record<string, string[]>, racks: any[], size: any, terms?: any, errors: string[]}>}
     */
    preview(draft: Draft, by: string): Promise<{
        targets: Record<string, string[]>;
        racks: any[];
        size: any;
        terms?: any;
        errors: string[];
    }>;
    /**
     * Votes on an action; gives it.
     *
     * @param {number | string} id
     * @param {Ballot} ballot
     * @param {string} by who votes
     * @returns {Promise<any>}
     */
    vote(id: number | string, ballot: Ballot, by: string): Promise<any>;
    /**
     * Cancels an action that has not begun; gives it.
     *
     * @param {number | string} id
     * @param {string} by who pushed it
     * @returns {Promise<any>}
     */
    cancel(id: number | string, by: string): Promise<any>;
    /**
     * Takes a vote back while the action waits for votes; gives the action.
     *
     * @param {number | string} id
     * @param {string} by who voted
     * @returns {Promise<any>}
     */
    withdraw(id: number | string, by: string): Promise<any>;
    /**
     * Lets an action begin no more calls until it is resumed; gives it.
     *
     * @param {number | string} id
     * @param {string} by
     * @param {string} [why]
     * @returns {Promise<any>}
     */
    pause(id: number | string, by: string, why?: string): Promise<any>;
    /**
     * Lets a paused action go on; gives it.
     *
     * @param {number | string} id
     * @param {string} by
     * @returns {Promise<any>}
     */
    resume(id: number | string, by: string): Promise<any>;
    /**
     * Ends an action that runs: calls that have not begun end as failed. Gives it.
     *
     * @param {number | string} id
     * @param {string} by
     * @param {string} [why]
     * @returns {Promise<any>}
     */
    stop(id: number | string, by: string, why?: string): Promise<any>;
    /**
     * Stops all writes of the site, at once and without a vote. Two people lift it: the method `liftStop` of `Site.call`.
     *
     * @param {string} by
     * @param {string} [why]
     * @returns {Promise<void>}
     */
    halt(by: string, why?: string): Promise<void>;
    /**
     * Actions by what became of them, oldest first: `voting`, `ready`, `executing` or `done`. `filter` takes ids
     * (`{ gt, gte, lt, lte }`), `query` what they must match.
     *
     * @param {'voting' | 'ready' | 'executing' | 'done'} type
     * @param {{filter?: Record<string, number>, query?: Record<string, any>, fields?: Record<string, 0 | 1>, limit?: number,
     *   reverse?: boolean}} [options]
     * @returns {Promise<any[]>}
     */
    query(type: "voting" | "ready" | "executing" | "done", options?: {
        filter?: Record<string, number>;
        query?: Record<string, any>;
        fields?: Record<string, 0 | 1>;
        limit?: number;
        reverse?: boolean;
    }): Promise<any[]>;
    /**
     * One action with its targets, and what became of each; null when there is none.
     *
     * @param {number | string} id
     * @returns {Promise<any>}
     */
    get(id: number | string): Promise<any>;
    /**
     * What becomes of all actions from now on. A reader that is too slow is told how many changes it missed.
     *
     * @param {{signal?: AbortSignal}} [options]
     * @returns {AsyncGenerator<Watched, void, void>}
     */
    watch(options?: {
        signal?: AbortSignal;
    }): AsyncGenerator<Watched, void, void>;
    #private;
}
/** Whoever holds the site may read all of it. */
export const READER: string;
