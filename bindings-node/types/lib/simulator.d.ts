export type FleetConf = {
    seed?: number;
    base?: string;
    byPort?: number;
    cold?: boolean;
    whatsminers?: number;
    antminers?: number;
};
export type Fault = {
    kind: "hang" | "refuse" | "garbage" | "halfJson" | "flood" | "mute" | "ignoreWrites" | "overheat" | "poolsDead";
} | {
    kind: "cut";
    after: number;
} | {
    kind: "drip";
    bytes: number;
    everyMs: number;
} | {
    kind: "oversized";
    bytes: number;
} | {
    kind: "slow";
    delayMs: number;
} | {
    kind: "reboot";
    downMs: number;
} | {
    kind: "drift";
    perHour: number;
} | {
    kind: "boardLost";
    slot: number;
} | {
    kind: "fanFailed";
    fan: number;
};
export type SimulatedDevice = {
    index: number;
    family: "whatsminer" | "antminer";
    model: string;
    mac: string;
    serial: string;
    address: string;
    ports: {
        rpc: number | null;
        web: number | null;
        v3: number | null;
        side: number | null;
    };
};
/**
 * @typedef {{seed?: number, base?: string, byPort?: number, cold?: boolean, whatsminers?: number, antminers?: number}} FleetConf
 * @typedef {{kind: 'hang' | 'refuse' | 'garbage' | 'halfJson' | 'flood' | 'mute' | 'ignoreWrites' | 'overheat' | 'poolsDead'}
 *   | {kind: 'cut', after: number} | {kind: 'drip', bytes: number, everyMs: number} | {kind: 'oversized', bytes: number}
 *   | {kind: 'slow', delayMs: number} | {kind: 'reboot', downMs: number} | {kind: 'drift', perHour: number}
 *   | {kind: 'boardLost', slot: number} | {kind: 'fanFailed', fan: number}} Fault
 * @typedef {{index: number, family: 'whatsminer' | 'antminer', model: string, mac: string, serial: string, address: string,
 *   ports: {rpc: number | null, web: number | null, v3: number | null, side: number | null}}} SimulatedDevice
 */
/**
 * Simulated devices on real sockets of the loopback interface, for tests.
 */
export class Simulator {
    /**
     * Starts devices: one address each from `base` (127.20.0.1), or with `byPort` all on one address.
     *
     * @param {FleetConf} [conf]
     * @returns {Promise<Simulator>}
     */
    static start(conf?: FleetConf): Promise<Simulator>;
    /** @param {import('../native.js').NativeSimulator} native */
    constructor(native: import("../native.js").NativeSimulator);
    /** @returns {SimulatedDevice[]} */
    devices(): SimulatedDevice[];
    /**
     * What is really so with a device, and what it was told to do.
     *
     * @param {number} index
     * @returns {{ts: number, up: boolean, mining: boolean, asleep: boolean, power_w: number, nominal_mhs: number,
     *   executed: Record<string, number>, requests: number, connections: number}}
     */
    truth(index: number): {
        ts: number;
        up: boolean;
        mining: boolean;
        asleep: boolean;
        power_w: number;
        nominal_mhs: number;
        executed: Record<string, number>;
        requests: number;
        connections: number;
    };
    /**
     * Lets a device do something wrong from now on.
     *
     * @param {number} index
     * @param {Fault} fault
     */
    fault(index: number, fault: Fault): void;
    /**
     * Ends what a device does wrong.
     *
     * @param {number} index
     */
    clear(index: number): void;
    /** Closes all ports. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
    #private;
}
