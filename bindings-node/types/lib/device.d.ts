/**
 * One device, opened by its owner outside any site.
 */
export class Device {
    /** @param {import('../native.js').NativeDevice} native */
    constructor(native: import("../native.js").NativeDevice);
    /** What it can do: its commands, with what each takes. */
    capability(): any;
    /**
     * What it says now. What could not be read is absent, and `missing` says why.
     *
     * @param {{withinMs?: number, signal?: AbortSignal}} [options]
     * @returns {Promise<any>}
     */
    snapshot(options?: {
        withinMs?: number;
        signal?: AbortSignal;
    }): Promise<any>;
    /**
     * Carries out a write, such as `{ name: 'setPowerMode', args: 'low' }`: sends once, and reads back until the effect
     * shows.
     *
     * @param {{name: string, args?: any}} command
     * @param {{withinMs?: number, signal?: AbortSignal}} [options]
     * @returns {Promise<{state: string, before?: any, receipt?: any}>}
     */
    execute(command: {
        name: string;
        args?: any;
    }, options?: {
        withinMs?: number;
        signal?: AbortSignal;
    }): Promise<{
        state: string;
        before?: any;
        receipt?: any;
    }>;
    /** Ends its connections. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
    #private;
}
/**
 * Opens a device with a driver, such as `whatsminer`, and its options.
 *
 * @param {string} driver
 * @param {{address: string, [option: string]: any}} opts
 * @param {{drivers?: import('./driver.js').Driver[], signal?: AbortSignal}} [options] `drivers` are further ones of one's own
 * @returns {Promise<Device>}
 */
export function open(driver: string, opts: {
    address: string;
    [option: string]: any;
}, options?: {
    drivers?: import("./driver.js").Driver[];
    signal?: AbortSignal;
}): Promise<Device>;
