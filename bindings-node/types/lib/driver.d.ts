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
 * A driver of one's own: a class, or any object with these members. `id` is what racks and things name it by.
 */
export type Driver = {
    id: string;
    kind?: string;
    make?: string;
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
 * A driver of one's own: a class, or any object with these members. `id` is what racks and things name it by.
 *
 * @typedef {{id: string, kind?: string, make?: string, open: (opts: any) => DriverThing | Promise<DriverThing>}} Driver
 */
/**
 * The library's drivers, and those of one's own.
 *
 * @param {Driver[]} [drivers]
 * @returns {import('../native.js').NativeDrivers}
 */
export function registry(drivers?: Driver[]): import("../native.js").NativeDrivers;
