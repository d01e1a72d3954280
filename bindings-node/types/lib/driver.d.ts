/**
 * A device as a driver of one's own opened it. What it does not answer before the deadline of its poll costs that poll, and
 * nothing else. It throws what went wrong; a `HeadframeError` says with `kind` and `sent` what to do about it.
 */
export type DriverThing = {
    capability?: any;
    snapshot: () => any;
    observe?: (action: string) => {
        identity: {
            mac?: string;
            serial?: string;
        };
        now?: any;
        uptimeS?: number;
        version?: number;
    } | Promise<{
        identity: {
            mac?: string;
            serial?: string;
        };
        now?: any;
        uptimeS?: number;
        version?: number;
    }>;
    execute?: (action: string, params: any[]) => {
        requests?: string[];
        reply?: string;
    } | Promise<{
        requests?: string[];
        reply?: string;
    }>;
    close?: () => void | Promise<void>;
};
/**
 * How devices of a driver are found: what is asked, and a text that stands in their reply, whatever the case. `get` is the path
 * of a page, `command` one of the cgminer-style API. With `at`, a JSON pointer such as `/VERSION/0/Type`, or `realm` or `location`
 * of a page, the text has to stand at the beginning there. One probe that fits is enough; a word of `not`, in any reply, is
 * another's device. `model`, `firmware` and `mac` are JSON pointers to what the device tells of itself. `stock` is false for a
 * firmware that stands in for the maker's own; `port` names another port than the usual one.
 */
export type Probe = {
    get?: string;
    command?: string;
    says: string;
    at?: string;
    not?: string[];
    model?: string;
    firmware?: string;
    mac?: string;
    stock?: boolean;
    port?: "web" | "rpc" | "side" | "v3";
};
/**
 * A driver of one's own: a class, or any object with these members. `id` is what racks and things name it by, `docs` a page for
 * its users. What its `probes` find has `address` in its options, and `port` where that is not the usual one; of further kinds of
 * ports `rpc_port` and the like. `open` says with `context: { field }` of an `Invalid` error which option it cannot use.
 */
export type Driver = {
    id: string;
    kind?: string;
    make?: string;
    docs?: string;
    probes?: Probe[];
    open: (opts: any) => DriverThing | Promise<DriverThing>;
};
/**
 * A device as a driver of one's own opened it. What it does not answer before the deadline of its poll costs that poll, and
 * nothing else. It throws what went wrong; a `HeadframeError` says with `kind` and `sent` what to do about it.
 *
 * @typedef {{
 *   capability?: any,
 *   snapshot: () => any,
 *   observe?: (action: string) => {identity: {mac?: string, serial?: string}, now?: any, uptimeS?: number, version?: number}
 *     | Promise<{identity: {mac?: string, serial?: string}, now?: any, uptimeS?: number, version?: number}>,
 *   execute?: (action: string, params: any[]) => {requests?: string[], reply?: string}
 *     | Promise<{requests?: string[], reply?: string}>,
 *   close?: () => void | Promise<void>
 * }} DriverThing
 */
/**
 * How devices of a driver are found: what is asked, and a text that stands in their reply, whatever the case. `get` is the path
 * of a page, `command` one of the cgminer-style API. With `at`, a JSON pointer such as `/VERSION/0/Type`, or `realm` or `location`
 * of a page, the text has to stand at the beginning there. One probe that fits is enough; a word of `not`, in any reply, is
 * another's device. `model`, `firmware` and `mac` are JSON pointers to what the device tells of itself. `stock` is false for a
 * firmware that stands in for the maker's own; `port` names another port than the usual one.
 *
 * @typedef {{get?: string, command?: string, says: string, at?: string, not?: string[], model?: string, firmware?: string,
 *   mac?: string, stock?: boolean, port?: 'web' | 'rpc' | 'side' | 'v3'}} Probe
 */
/**
 * A driver of one's own: a class, or any object with these members. `id` is what racks and things name it by, `docs` a page for
 * its users. What its `probes` find has `address` in its options, and `port` where that is not the usual one; of further kinds of
 * ports `rpc_port` and the like. `open` says with `context: { field }` of an `Invalid` error which option it cannot use.
 *
 * @typedef {{id: string, kind?: string, make?: string, docs?: string, probes?: Probe[],
 *   open: (opts: any) => DriverThing | Promise<DriverThing>}} Driver
 */
/**
 * The library's drivers, and those of one's own.
 *
 * @param {Driver[]} [drivers]
 * @returns {import('../native.js').NativeDrivers}
 */
export function registry(drivers?: Driver[]): import("../native.js").NativeDrivers;
